"""Reads or makes data sets: examples with labels, overlapping groups and indivisible units. Light to import."""
