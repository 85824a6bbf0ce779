"""What people confirmed as a patch of the label files, which a person applies: nothing is edited here."""
