"""Training of the pill encoder: data preparation, captions, model, loop, export."""
