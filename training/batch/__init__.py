"""Batch scoring of MLflow models: the script that runs on the cluster, and the folder that it ships in."""
