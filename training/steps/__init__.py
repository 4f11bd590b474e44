"""The six steps, each a function and a command."""

import os

# Before any numeric library is loaded: one thread gives the same trees everywhere, and jobs that share a machine don't wait in spins.
os.environ.setdefault("OMP_NUM_THREADS", "1")
