"""Speed, measured beside rivals in turns on the same machine: `python -m bench [name...]`, run by `make bench`."""
