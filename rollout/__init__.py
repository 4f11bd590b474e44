"""Deploy models to Azure ML online endpoints and move traffic from blue to green, and back."""

__version__ = "0.1.0"
