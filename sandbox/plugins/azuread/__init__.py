"""Stand-in for the azuread provider: what Microsoft Graph would be sent goes to the sandbox's."""
