"""YOLO label files and the data.yaml that names them."""
