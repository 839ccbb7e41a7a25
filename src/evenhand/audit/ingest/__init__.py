"""Reads users' tables of predictions or membership scores into records."""
