"""Measures in the runs of one evaluation: influences of examples, sums by unit, and what two methods show."""
