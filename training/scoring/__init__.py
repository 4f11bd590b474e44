"""What is shipped beside a model: its input's schema, and the service that checks, predicts and answers.

Nothing here needs a web server or the rest of `training`, but for `describe` and `package`, which make what is shipped.
"""
