"""A custom container for Azure ML: Starlette and uvicorn over `training.scoring`, and what its image is built from."""
