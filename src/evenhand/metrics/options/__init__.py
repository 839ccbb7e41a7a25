"""Metrics of a model's choices among given options.

`scores.py` computes answers, `token_bias.py` the effects of letters and positions on them, and `debiasing.py` corrects
for these effects. `evenhand.arrangements` defines the orders of options, for prompts and for metrics.
"""
