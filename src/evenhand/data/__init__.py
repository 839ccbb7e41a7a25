"""Reads or generates data sets: examples with labels, overlapping groups and indivisible units. Light to import."""
