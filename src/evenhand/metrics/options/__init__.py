"""Options that a model chooses from: its answers (`scores.py`), what letters and places do to them (`token_bias.py`),
and answers without that (`debiasing.py`). The orders in which it is asked are `evenhand.arrangements`, which those who
ask share with those who read the answers."""
