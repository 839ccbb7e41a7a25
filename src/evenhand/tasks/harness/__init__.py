"""Benchmarks of lm-evaluation-harness, which scores them; here they are found, started on a trial's model, and kept."""
