"""Records of probes with planted rates of right answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import Design, ProbedDesign, SettingDesign

Rates = Mapping[str, float]
"""By method, how often a probe is right in the last layer; in the others, and on control tasks, it guesses."""


def tables(
    rates: Rates,
    *,
    targets: Sequence[str] = ("author",),
    layers: int = 3,
    seeds: int = 3,
    n: int = 120,
    settings: Mapping[str, int] | None = None,
    failed: Sequence[tuple[str, int]] = (),
    untrained: bool = True,
    margin: float | None = 0.05,
    **probed,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, Design]:
    """`examples`, `trials`, `probes` and a design whose first method is the reference.

    Args:
        settings: layers by setting, the embeddings included; one setting `main` unless given.
        failed: method and seed of trials that failed.
        probed: of `ProbedDesign`.
    """
    settings = settings or {"main": layers}
    examples, trials, probes = [], [], []
    for setting, depth in settings.items():
        ids = [f"e{row:04d}" for row in range(n)]
        examples.append(pl.DataFrame({"setting": setting, "example": ids, "label": None, "weight": 1.0, "unit": ids}))
        for seed in range(seeds):
            rng = np.random.default_rng([seed, depth])
            control = rng.random((len(targets), depth, 5, n))
            shared = rng.random((len(targets), depth, n))
            for method, rate in {**rates, **({"untrained": 0.5} if untrained else {})}.items():
                trial = f"{setting}-{method}-{seed}"
                bare = method == "untrained"
                if not bare:
                    broken = (method, seed) in failed
                    row = {"setting": setting, "method": method, "seed": seed, "role": "study", "trial": trial}
                    trials.append(
                        {**row, "status": "failed" if broken else "done", "reason": "diverged" if broken else None}
                    )
                    if broken:
                        continue
                for place, target in enumerate(targets):
                    for layer in range(depth):
                        right = rate if layer == depth - 1 else 0.5
                        told = {None: shared[place, layer] < right}
                        told |= {task: control[place, layer, task] < 0.5 for task in range(5)}
                        for task, correct in told.items():
                            named = f"{target}/untrained" if bare else target
                            # What is untrained lies in every trial of its seed: here in the first method's.
                            where = f"{setting}-{next(iter(rates))}-{seed}" if bare else trial
                            probes.append(
                                pl.DataFrame(
                                    {
                                        "trial": where,
                                        "layer": layer,
                                        "target": named,
                                        "control_seed": pl.Series([task] * n, dtype=pl.Int64),
                                        "example": ids,
                                        "correct": correct,
                                    }
                                )
                            )
    more = probed.pop("more", dict.fromkeys(targets, "worse"))
    design = Design(
        settings={
            setting: SettingDesign(
                references=tuple(rates)[:1],
                methods=tuple(rates),
                vary=False,
                kind="reviews",
                probed=ProbedDesign(targets=tuple(targets), more=more, untrained=untrained, **probed),
            )
            for setting in settings
        },
        margins={} if margin is None else {"default": margin},
    )
    return (
        records.validate(pl.concat(examples), "examples"),
        records.validate(pl.DataFrame(trials, infer_schema_length=None), "trials"),
        records.validate(pl.concat(probes), "probes"),
        design,
    )
