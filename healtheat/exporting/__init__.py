"""Findings for people and programs: tables, hand-offs to annotation tools, lists to train on."""
