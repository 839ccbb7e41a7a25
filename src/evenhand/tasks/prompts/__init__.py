"""Builds prompts about reviews and computes a language model's log-probabilities of their options.

Templates are data (`built_in.yaml`, or a user's file). `templates.py` reads and checks them, and `prompt.py` fills
them; both import nothing heavy. `encoding.py` encodes prompts as tokens, `scoring.py` asks the model, and `table.py`
makes `options` records.
"""
