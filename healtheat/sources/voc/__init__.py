"""Pascal VOC: one XML an image."""
