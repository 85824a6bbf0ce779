"""Darknet, which CVAT calls YOLO 1.1: obj.data, obj.names, a list of images, one label file an image."""
