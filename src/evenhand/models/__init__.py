"""Finds base models, checks them, and loads classifiers and language models over them in float32."""
