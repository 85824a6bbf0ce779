"""YOLO data sets as a source: images in folders or lists, one label file an image."""

from healtheat.sources.yolo_labels import read_labels

__all__ = ["read_labels"]
