"""Reports: sentences, tables and charts made from estimates and verdicts."""
