"""What people decided: an append-only log, and the table it is shown as."""
