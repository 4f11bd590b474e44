"""From a table to a registered model: validate, fit, evaluate, gate, register.

The same modules run on a laptop (`python -m training.run`) and as an Azure ML
command job (`training.job`).
"""
