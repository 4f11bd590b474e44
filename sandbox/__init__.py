"""Local Azure: the endpoints that the project uses, served on loopback, strictly.

One folder a service: `state.py` holds what it knows and can `reset()`, `app.py`
its routes. What the sandbox does not know it refuses with 501.
"""
