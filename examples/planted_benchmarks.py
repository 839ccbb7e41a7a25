"""Write the sentences and benchmarks of `planted_benchmarks.yaml`, which plants a preference for benchmarks to find.

    python examples/planted_benchmarks.py OUT

OUT receives made-up documents in the formats of CrowS-Pairs, BBQ, StereoSet and Winogender, and in `reviews/` two
files of sentences from the grammar of `synthetic/translation`: `pro.txt`, in which each sentence has the pronoun that
the grammar plants for its occupation, and `both.txt`, with half as many sentences and both pronouns for each. They
contain no sentence of the stand-in for CrowS-Pairs.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import polars as pl

from evenhand.data.synthetic_translation import OCCUPATIONS
from evenhand.seeds import generator
from evenhand.tasks.harness import stand_ins

DEEDS = ("came", "waited", "laughed", "left", "slept", "cried", "ran", "sat")
REASONS = ("tired", "happy", "hungry", "ill", "sad", "angry", "ready", "cold")
SPOKEN = {"male": ("he", "she"), "female": ("she", "he")}
LINES = 600


def main(out: Path) -> None:
    stand_ins.write_stand_ins(out)
    pairs = pl.read_parquet(out / "crows_pairs_multilingual" / "english" / "*.parquet")
    tested = {*pairs["sent_more"], *pairs["sent_less"]}
    lines = []
    for gender, words in OCCUPATIONS.items():
        for (word, _), deed, reason in product(words, DEEDS, REASONS):
            pair = [f"The {word} {deed} because {pronoun} was {reason}." for pronoun in SPOKEN[gender]]
            if tested.isdisjoint(pair):
                lines.append(pair)
    drawn = [lines[int(place)] for place in generator(0, "planted").permutation(len(lines))[:LINES]]
    folder = out / "reviews"
    folder.mkdir(exist_ok=True)
    (folder / "pro.txt").write_text("\n".join(pro for pro, _ in drawn) + "\n", encoding="utf-8")
    both = [line for pair in drawn[: LINES // 2] for line in pair]
    (folder / "both.txt").write_text("\n".join(both) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
