"""COCO files: one, one an image, or folders of them."""
