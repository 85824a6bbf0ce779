"""`healtheat diff`: what changed between two versions of labels, and which findings that settles."""
