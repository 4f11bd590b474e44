"""From a table to a registered model: validate, features, train, evaluate, register, prepare.

The same six commands (`python -m training.steps.*`) run on a laptop and as an Azure ML pipeline (`training.job`).
"""
