"""Client load against a scoring endpoint, by Locust: every request is written down."""
