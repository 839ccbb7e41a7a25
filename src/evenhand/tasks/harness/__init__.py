"""Loads benchmarks of lm-evaluation-harness and scores models on them."""
