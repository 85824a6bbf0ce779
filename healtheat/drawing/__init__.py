"""A generated demo set: drawn pill images with YOLO labels, planted errors and their truth."""

from healtheat.drawing.compare import compare, false_alarms, summary_rows
from healtheat.drawing.make import DemoSet, make_demo
from healtheat.drawing.products import PRODUCTS, Product, look_alikes
from healtheat.drawing.truth import KINDS, Truth, read_truth

__all__ = [
    "KINDS",
    "PRODUCTS",
    "DemoSet",
    "Product",
    "Truth",
    "compare",
    "false_alarms",
    "look_alikes",
    "make_demo",
    "read_truth",
    "summary_rows",
]
