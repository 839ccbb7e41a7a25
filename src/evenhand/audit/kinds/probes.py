"""From probes to estimates and verdicts: what models' representations say of a target, layer by layer.

`condition` is the target and the layer, `author/12`; 0 are the embeddings. Beside the methods stand untrained models of
the architecture, as the method `untrained`. Methods are compared in selectivity, at the layers that the design names.
What it means that one representation says more than another is no property of the measure: the design declares it by
target (`ProbedDesign.more`), and where it declares neither, a contrast is shown without a verdict. So is the contrast
with untrained models, which every trained one should exceed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.across_settings import Compared, across_settings
from evenhand.audit.comparisons import Contrast
from evenhand.audit.design import Design, ProbedDesign
from evenhand.audit.kinds.estimands import Case
from evenhand.audit.kinds.probe_answers import probed
from evenhand.audit.kinds.probe_means import SELECTIVITY, Told, bounds_over, contrast_of, mean_over
from evenhand.audit.measures import Measure, select
from evenhand.audit.measures.probes import PROBES
from evenhand.audit.trial_records import gaps, left_by, seeds_of, shared_seeds
from evenhand.audit.verdicts import judged, pairs, pooled_later
from evenhand.errors import InputError
from evenhand.records.probes import LAST, UNTRAINED, condition

LEVEL = 0.95
SPLIT = "test"
DESCRIBED = "no verdict: method minus reference, positive where the method's representation says more"

Place = tuple[str, int]
"""Target and layer."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """One setting's probes.

    Attributes:
        setting: its name.
        design: what was probed for.
        methods: in the reader's order, `untrained` last where it is there.
        references: who the others are compared with.
        told: by method and seed, then by target and layer.
        absent: why a (method, seed) has none.
        vary: whether there is a new split per seed.
    """

    setting: str
    design: ProbedDesign
    methods: tuple[str, ...]
    references: tuple[str, ...]
    told: Mapping[tuple[str, int], Mapping[Place, Told]]
    absent: Mapping[tuple[str, int], str]
    vary: bool

    def seeds(self, method: str) -> list[int]:
        """The seeds that a method was run with, failed ones included."""
        return seeds_of(method, self.told, self.absent)

    def layers(self, target: str) -> list[int]:
        """The layers that were probed for a target, ascending."""
        return sorted({layer for found in self.told.values() for name, layer in found if name == target})

    def judged(self, target: str) -> list[int]:
        """The layers at which methods are compared."""
        layers = self.layers(target)
        return layers[-1:] if self.design.judged is None else [one for one in layers if one in self.design.judged]

    def runs(self, method: str, place: Place) -> dict[int, Told]:
        """What a method's runs tell of a target in a layer, by seed."""
        found = {seed: self.told.get((method, seed), {}).get(place) for seed in self.seeds(method)}
        return {seed: told for seed, told in found.items() if told is not None}


def encoded(
    examples: pl.DataFrame, trials: pl.DataFrame, probes: pl.DataFrame, design: Design
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What probes say, as rows of the tables `estimates` and `verdicts`.

    Args:
        examples, trials, probes: the tables. Only trials of the role `study` count.
        design: who is compared with whom; its settings that were `probed` are audited.

    Raises:
        InputError: an unknown measure, probes of examples that are not in the table, or control tasks that are missing
            or are not about the same examples.
    """
    measures = select(design.measures, "probes")
    estimates: list[dict[str, Any]] = []
    verdicts: list[dict[str, Any]] = []
    everywhere: list[Compared] = []
    for encoding in _encodings(examples, trials, probes, design):
        for measure in measures:
            for target in encoding.design.targets:
                for layer in encoding.layers(target):
                    estimates += _estimates(encoding, measure, (target, layer), design)
        if PROBES[SELECTIVITY] not in measures:
            continue
        found = [one for target in encoding.design.targets for one in _compared(encoding, target, design)]
        verdicts += [row for family in judged(found, design) for row in family.rows()]
        everywhere += pooled_later(_of_last_layers(encoding, found), design)
    verdicts += across_settings(everywhere, examples, design)
    return records.from_rows(estimates, "estimates"), records.from_rows(verdicts, "verdicts")


def _encodings(
    examples: pl.DataFrame, trials: pl.DataFrame, probes: pl.DataFrame, design: Design
) -> Iterator[Encoding]:
    for setting, own in design.settings.items():
        if own.probed is None:
            continue
        rows = examples.filter(setting=setting)
        # The codes that contrasts of several settings are matched by follow the names of units.
        codes = rows["unit"].rank("dense").cast(pl.Int64) - 1
        unit = dict(zip(rows["example"], codes, strict=True))
        uses = trials.filter(setting=setting, role="study")
        here = probes.filter(pl.col("trial").is_in(uses["trial"].unique().to_list()))
        lost = here.filter(~pl.col("example").is_in(list(unit)))
        if len(lost):
            raise InputError(
                f"setting {setting}: {len(lost)} probes are of examples that the table examples lacks, such as "
                f"{lost['example'][0]!r}"
            )
        parts = {str(key[0]): part for key, part in here.partition_by("trial", as_dict=True).items()}
        known = {trial: _told(part, unit) for trial, part in parts.items()}
        left = left_by(uses, own.methods, known, "there are no probes")
        if not left.found:
            continue
        told: dict[tuple[str, int], Mapping[Place, Told]] = {}
        for (method, seed), found in left.found.items():
            told[method, seed] = {key: one for key, one in found.items() if not _is_untrained(key[0])}
            bare = {(_trained(key[0]), key[1]): one for key, one in found.items() if _is_untrained(key[0])}
            if bare:  # the same in every trial of a seed
                told.setdefault((UNTRAINED, seed), bare)
        methods = (*left.methods, *([UNTRAINED] if any(name == UNTRAINED for name, _ in told) else []))
        yield Encoding(setting, own.probed, methods, own.references, told, left.absent, own.vary)


def _told(probes: pl.DataFrame, unit: Mapping[str, int]) -> dict[Place, Told]:
    """One trial's answers by target and layer."""
    found: dict[Place, Told] = {}
    units: dict[tuple[str, ...], np.ndarray] = {}
    for one in probed(probes):
        if one.examples not in units:
            units[one.examples] = np.array([unit[example] for example in one.examples], dtype=np.int64)
        found[one.target, one.layer] = Told(one, units[one.examples])
    return found


def _is_untrained(target: str) -> bool:
    return target.endswith(f"/{UNTRAINED}")


def _trained(target: str) -> str:
    return target.removesuffix(f"/{UNTRAINED}")


def _estimates(encoding: Encoding, measure: Measure, place: Place, design: Design) -> Iterator[dict[str, Any]]:
    for method in encoding.methods:
        base = {
            "setting": encoding.setting,
            "split": SPLIT,
            "measure": measure.name,
            "condition": condition(*place),
            "method": method,
        }
        seeds, runs = encoding.seeds(method), encoding.runs(method, place)
        for seed, told in runs.items():
            yield {**base, "seed": seed, **_values(measure, [told], [], design)}
        notes = gaps(method, seeds, encoding.absent, "have no probes")
        if len(runs) == 1:
            notes.append("one seed: the interval does not hold the noise of training")
        yield {**base, "seed": None, **_values(measure, list(runs.values()), notes, design)}


def _values(measure: Measure, runs: Sequence[Told], notes: Sequence[str], design: Design) -> dict[str, Any]:
    n = len({example for told in runs for example in told.probed.examples})
    said = [*notes, *([f"fewer than {design.support} tested examples"] if n < design.support else [])]
    row: dict[str, Any] = {"value": None, "low": None, "high": None, "n": n, "note": "; ".join(said) or None}
    if not runs:
        return row
    row["value"] = mean_over(runs, measure.name).estimate
    bounds = bounds_over(runs, measure.name, LEVEL)
    if bounds is None:
        return row
    low, high = measure.within(bounds)
    return {**row, "low": low, "high": high}


def _compared(encoding: Encoding, target: str, design: Design) -> Iterator[Compared]:
    """The contrasts of a target: of every method with every reference, and of every method with untrained models."""
    more = encoding.design.more.get(target, "neither")
    measure = replace(PROBES[SELECTIVITY], direction=-1 if more == "better" else 1, decides=more != "neither")
    margin = measure.margin(design.margins)
    methods = tuple(name for name in encoding.methods if name != UNTRAINED)
    bare = [(method, UNTRAINED) for method in methods] if UNTRAINED in encoding.methods else []
    for layer in encoding.judged(target):
        for method, reference in (*pairs(methods, encoding.references), *bare):
            own = measure if reference != UNTRAINED else replace(measure, direction=1, decides=False)
            case = Case(own, None, None, "everyone", condition=condition(target, layer))
            found = _contrast(encoding, own, (target, layer), method, reference, design)
            yield Compared(encoding.setting, SPLIT, method, reference, case, margin if own.decides else None, found)


def _contrast(
    encoding: Encoding, measure: Measure, place: Place, method: str, reference: str, design: Design
) -> Contrast:
    """Selectivity of a method against a reference, by seed on the examples that both were probed with."""
    notes = [] if measure.decides else [DESCRIBED]
    both, fewer = shared_seeds(encoding.seeds(method), encoding.seeds(reference))
    notes += fewer
    ours, theirs = encoding.runs(method, place), encoding.runs(reference, place)
    made = []
    for seed in both:
        if seed not in ours or seed not in theirs:
            notes.append(f"seed {seed} has probes of one method only")
        elif ours[seed].probed.examples != theirs[seed].probed.examples:
            notes.append(f"at seed {seed} the methods were probed with different examples")
        else:
            made.append((ours[seed], theirs[seed]))
    return contrast_of(
        made, sign=measure.direction, planned=len(both), support=design.support, vary=encoding.vary, notes=notes
    )


def _of_last_layers(encoding: Encoding, found: Sequence[Compared]) -> list[Compared]:
    """Contrasts with verdicts at the last layer, under a name that models of other depths share."""
    deepest = {target: max(encoding.layers(target), default=None) for target in encoding.design.targets}
    last = {condition(target, layer): target for target, layer in deepest.items() if layer is not None}
    return [
        replace(one, case=replace(one.case, condition=condition(last[str(one.case.condition)], LAST)))
        for one in found
        if one.case.condition in last and one.case.measure.decides
    ]
