"""What everything stands on: boxes, errors, words, text and files."""
