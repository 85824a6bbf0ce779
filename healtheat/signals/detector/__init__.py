"""A detector's predictions, joined to the labels."""
