"""The review page: look at suspicious samples one by one, decide, remember."""
