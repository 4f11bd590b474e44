"""What runs inside a deployment's own environment. Nothing here may import from the sandbox: it is not installed there."""
