"""Tables into mini batches and predictions back into tables; what a thousand predictions cost. No SDK."""
