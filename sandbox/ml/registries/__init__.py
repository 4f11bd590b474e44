"""ML registries: models that several workspaces share."""
