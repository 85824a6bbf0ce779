"""Scores, thresholds, queues: from signals to the rows that people see."""
