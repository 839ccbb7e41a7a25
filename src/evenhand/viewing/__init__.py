"""Serves the report of a folder on this machine, also while the study in it still runs; changes nothing there."""
