"""Data sets: examples with labels, overlapping groups and units that are never split. Light to import."""
