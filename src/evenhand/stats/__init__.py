"""Intervals, tests and verdict rules; nothing here is specific to fairness."""
