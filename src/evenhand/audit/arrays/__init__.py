"""Turns the records of one model into NumPy arrays: answers to prompts, benchmark scores, probes, texts."""
