"""A generated demo set: drawn pill photos with YOLO labels, planted errors and their truth."""

from healtheat.demo.compare import compare, false_alarms, summary_rows
from healtheat.demo.make import DemoSet, make_demo
from healtheat.demo.products import PRODUCTS, Product, look_alikes
from healtheat.demo.truth import KINDS, Truth, read_truth

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
