"""Options of scripted models with planted log-odds of a content, of an identifier and of yes."""

from __future__ import annotations

import numpy as np
import polars as pl

from evenhand.arrangements import balanced_arrangements
from evenhand.audit.design import AskedDesign, Design, SettingDesign
from evenhand.metrics.options.scores import log_softmax
from evenhand.records.prompts import CONTENT_FREE

CONTENTS, LETTERS = ("male", "female"), ("A", "B")
SEEDS = (0, 1, 2)


def listed(
    template: str, content: float, letter: float, examples: list[str], rng, straight: bool = False
) -> list[dict]:
    """Multiple choice: log-odds of male and of "A", noise about each option of each prompt."""
    rows = []
    design = balanced_arrangements(2)
    for order, named in zip(design.contents[: 1 if straight else 4], design.identifiers, strict=False):
        prompt = f"{template}/letters/male-female@{order[0]}{order[1]}.{named[0]}{named[1]}"
        for example in examples:
            score = content * (order == 0) + letter * (named == 0) + rng.normal(0, 0.5, 2)
            said = log_softmax(score)
            rows += [
                option(example, prompt, CONTENTS[order[place]], said[place], LETTERS[named[place]], place)
                for place in (0, 1)
            ]
    return rows


def cloze(template: str, content: float, examples: list[str], rng) -> list[dict]:
    rows = []
    for example in examples:
        said = log_softmax(np.array([content + rng.normal(0, 1), 0.0])) - 1
        rows += [option(example, f"{template}/plain/male-female", CONTENTS[place], said[place]) for place in (0, 1)]
    return rows


def yes_no(template: str, yes: float, content: float, examples: list[str], rng) -> list[dict]:
    """Log-odds of yes whatever is asked, and half the log-odds of male."""
    rows = []
    for claim, sign in (("male", 1), ("female", -1)):
        for denied in (False, True):
            prompt = f"{template}/plain/male-female?{'not ' if denied else ''}{claim}"
            for example in examples:
                odds = yes + sign * content * (-1 if denied else 1) + rng.normal(0, 0.3)
                said = log_softmax(np.array([odds, 0.0]))
                rows += [option(example, prompt, answer, said[place]) for place, answer in enumerate(("yes", "no"))]
    return rows


def listed_yes_no(template: str, yes: float, content: float, letter: float, examples: list[str], rng) -> list[dict]:
    """The same, with yes and no listed as A and B in every order, and log-odds of "A"."""
    rows = []
    design = balanced_arrangements(2)
    for claim, sign in (("male", 1), ("female", -1)):
        for denied in (False, True):
            for order, named in zip(design.contents, design.identifiers, strict=True):
                asked = f"{'not ' if denied else ''}{claim}@{order[0]}{order[1]}.{named[0]}{named[1]}"
                for example in examples:
                    odds = yes + sign * content * (-1 if denied else 1)
                    score = odds * (order == 0) + letter * (named == 0) + rng.normal(0, 0.3, 2)
                    said = log_softmax(score)
                    rows += [
                        option(
                            example,
                            f"{template}/letters/male-female?{asked}",
                            ("yes", "no")[order[place]],
                            said[place],
                            LETTERS[named[place]],
                            place,
                        )
                        for place in (0, 1)
                    ]
    return rows


def option(example, prompt, content, log_prob, identifier=None, position=None) -> dict:
    place = {"identifier": identifier, "position": position}
    said = {"log_prob": float(log_prob), "tokens": 1, "bytes": 4}
    return {"step": None, "example": example, "prompt": prompt, "option": content, **place, **said}


def tables(methods: dict[str, dict[str, float]], n: int = 40, seeds=SEEDS, content_free: tuple[str, ...] = (), **more):
    """Examples, trials and options of methods with planted log-odds: `content`, `letter`, `yes`. They are asked about
    texts without content as well."""
    reviews = [f"r{row:02d}" for row in range(n)]
    examples = [*reviews, *(CONTENT_FREE + text for text in content_free)]
    made, trials = [], []
    for method, planted in methods.items():
        content, letter, yes = (planted.get(key, 0.0) for key in ("content", "letter", "yes"))
        for seed in seeds:
            rng = np.random.default_rng([seed, len(trials)])
            rows = [
                row for name in ("mc1", "mc2", "mc3") for row in listed(name, content, letter, examples, rng, **more)
            ]
            rows += [row for name in ("cloze1", "cloze2") for row in cloze(name, content, examples, rng)]
            rows += yes_no("yn1", yes, content, examples, rng)
            trial = f"{method}-{seed}"
            made += [{"trial": trial, **row} for row in rows]
            trials.append({"setting": "main", "method": method, "seed": seed, "role": "study", "trial": trial})
    unit = [{"setting": "main", "example": name, "label": None, "weight": 1.0, "unit": name} for name in reviews]
    design = Design(
        settings={
            "main": SettingDesign(
                references=("base",), methods=tuple(methods), kind="reviews", asked=AskedDesign(), vary=False
            )
        },
        margins={"default": 0.1},
    )
    frame = pl.DataFrame(made, infer_schema_length=None)
    frame = frame.with_columns(pl.col("step").cast(pl.Int64), sequence_loss=pl.lit(None, pl.Float64))
    examples_table = pl.DataFrame(unit, schema_overrides={"label": pl.Int64})
    return examples_table, pl.DataFrame(trials).with_columns(status=pl.lit("done")), frame, design
