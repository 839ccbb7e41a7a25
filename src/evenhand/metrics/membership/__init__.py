"""Metrics of membership inference: attacks, scores of texts, and ROC curves.

Attacks on a pool or with separate shadows are in `attacks.py`, their parts in `shadows.py`, `lira.py` and `rmia.py`,
scores of texts from their tokens in `texts.py`, and ROC curves in `roc.py`.
"""
