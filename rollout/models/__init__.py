"""What `rollout model` does with registered models: look, compare, sign, verify, promote, validate."""
