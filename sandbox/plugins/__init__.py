"""Pulumi plugins for the sandbox: a Python language host, and stand-ins for the azure-native and azuread providers.

The real engine and the real SDKs use them; what Azure would be sent goes to the
sandbox's ARM and Graph, and nowhere else.
"""
