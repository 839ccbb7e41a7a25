"""Intervals, tests and verdicts. Knows nothing of fairness."""
