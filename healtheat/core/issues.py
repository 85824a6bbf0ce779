"""The issue types: what a signal may find. docs/scores.md says what each means."""

ISSUES = (
    "mislabel",
    "outlier",
    "background",
    "bad_box",
    "duplicate",
    "missing_box",
    "unexpected_class",
    "low_quality",
    "unreadable",
)
