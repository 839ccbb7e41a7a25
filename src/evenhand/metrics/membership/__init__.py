"""Membership inference: attacks over a pool or beside shadows (`attacks.py`) and what they are made of (`shadows.py`,
`lira.py`, `rmia.py`), scores of texts from their tokens (`texts.py`), and how well scores tell members (`roc.py`,
`accuracy.py`)."""
