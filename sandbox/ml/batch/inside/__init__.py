"""What runs inside a batch job's environment; nothing here imports the sandbox."""
