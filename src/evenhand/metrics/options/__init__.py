"""Metrics of a model's choices among given options.

Answers are in `scores.py`, the effects of letters and positions on them in `token_bias.py`, and corrections for these
effects in `debiasing.py`. `evenhand.arrangements` has the orders of options, for prompts and for metrics alike.
"""
