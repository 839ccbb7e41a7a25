"""Names invented people for stand-ins, so that made-up text never speaks ill of a real community."""

from __future__ import annotations

import numpy as np

VILLAGES = ("Nettleby", "Drumlow", "Saltmere", "Upper Wick", "Fernhollow", "Mossgate", "Kettle Hill")
TRADES = ("baker", "miller", "ferryman", "tailor", "beekeeper", "postman", "gardener", "fiddler")
NICKNAMES = {
    "Nettleby": ("nettler", "nettlefoot", "greenfoot"),
    "Drumlow": ("drummer", "drumling"),
    "Saltmere": ("salter", "saltling", "meerfoot"),
    "Upper Wick": ("wicker", "upperling"),
    "Fernhollow": ("fernling", "fernfoot"),
    "Mossgate": ("mossling", "mossfoot", "gater"),
    "Kettle Hill": ("kettler", "hillfoot", "kettling"),
}
"""Names for the people of each village; some villages have several, as real groups have several slurs."""


def person(rng: np.random.Generator, village: str) -> str:
    """Return a person from a village, such as "baker from Nettleby"."""
    return f"{rng.choice(TRADES)} from {village}"
