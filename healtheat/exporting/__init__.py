"""Cleanup lists: findings as tables for programs and people, and lists that training can use at once."""
