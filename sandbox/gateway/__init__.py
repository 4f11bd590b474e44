"""The scoring front door: splits, mirrors, authenticates, limits, times and counts. A process of its own."""
