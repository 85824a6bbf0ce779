"""Label Studio: one JSON export of a project."""
