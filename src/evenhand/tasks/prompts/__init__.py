"""What a language model is asked about a text, and the probabilities of its answers.

Templates are data (`built_in.yaml`, or a file of one's own): read and checked in `templates.py`, filled in `asking.py`.
Both are light. `encoding.py` makes tokens of them, `scoring.py` asks the model, `table.py` writes `options` records.
"""
