"""Reads users' tables, in the same way for audits and for training: files into columns, values into texts and
numbers."""
