"""Turns a study into trials, runs them, keeps their records, and calls the audit; knows both wings."""
