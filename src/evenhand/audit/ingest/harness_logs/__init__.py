"""Reads the logs of evaluation harnesses, lm-evaluation-harness and Inspect, and audits them."""
