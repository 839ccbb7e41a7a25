"""Reads users' tables, for audits and for training: files into columns, values into texts and numbers."""
