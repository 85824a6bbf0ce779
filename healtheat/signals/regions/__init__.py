"""Where on an image are objects like the labelled ones? Learned from the set itself, no detector needed."""
