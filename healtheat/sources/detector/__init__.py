"""The boxes of a YOLO detector, run in a child process."""
