"""`healtheat vet`: new labels against an index whose labels are trusted."""
