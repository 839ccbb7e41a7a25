"""Options that a model chooses from: in which orders it is asked (`arrangements.py`), its answers (`scores.py`), what
letters and places do to them (`token_bias.py`), and answers without that (`debiasing.py`)."""
