"""CVAT for images: one XML for a task or project."""
