"""healtheat finds wrong labels in fine-grained object-detection data and never changes a class id."""

__version__ = "0.1.0"
