"""Builds prompts about reviews and computes a language model's log-probabilities of their options.

Templates are data (`built_in.yaml`, or a file of one's own): read and checked in `templates.py`, filled in `asking.py`.
Both are light. `encoding.py` makes tokens of them, `scoring.py` asks the model, `table.py` writes `options` records.
"""
