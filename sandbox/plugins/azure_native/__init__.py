"""Stand-in for the azure-native provider: what Azure would be sent goes to the sandbox's ARM."""
