"""Membership inference: attacks with a pool or with shadows (`attacks.py`) and their parts (`shadows.py`, `lira.py`,
`rmia.py`), scores of texts from their tokens (`texts.py`), and how well scores distinguish members (`roc.py`,
`accuracy.py`)."""
