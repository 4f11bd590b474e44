"""The story that `make demo` tells: a model's life on Azure ML, run for real on the sandbox."""
