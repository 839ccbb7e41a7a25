"""From the runs of one evaluation to evidence: influences of examples, sums by unit, and differences of methods."""
