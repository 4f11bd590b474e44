"""What every service of the sandbox stands on: settings, store, tokens, HTTP, faults."""
