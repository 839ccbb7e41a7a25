"""From the records of pools to attacked models: who was trained on what, what the attack says, what is left out.

Two designs (`evenhand.audit.design.MembershipDesign`):

- `pool`: trials of the role `pool` are models in complementary pairs, `pair` naming the twin's trial. The split `train`
  of a model's predictions holds the pool's examples that it was trained on, `test` the others. Each is the target in
  turn. A model that failed takes its twin with it.
- `shadows`: the targets are the study's own trials, which predict `train` too. Trials of the role `pool` and the subset
  "seed 13" are the shadows of the targets of seed 13, and were trained on none of what they predict: these examples are
  the ones that are audited.

What cannot be attacked is left to the report with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import Design, MembershipDesign, SettingDesign
from evenhand.audit.evaluation import unit_codes
from evenhand.audit.membership.attack import Pool
from evenhand.audit.membership.confidences import ONLY_LABELS, SPLITS, Answers, answers_of
from evenhand.audit.membership.leakage import Targets, no_targets
from evenhand.audit.membership.shadows import with_shadows
from evenhand.errors import InputError, did_you_mean
from evenhand.metrics import loss_score

SHOWN = 3
"""Models that a note names."""


@dataclass(frozen=True, eq=False)
class Attack:
    """The attacked models of one setting.

    Attributes:
        examples: the setting's rows that some model was attacked on.
        methods: attacked models by method, over these examples.
    """

    examples: pl.DataFrame
    methods: Mapping[str, Targets]


@dataclass(frozen=True, eq=False)
class Attacked:
    """The attacked models of a study.

    Attributes:
        members, scores: the tables. Of a trial that two settings attack they hold what the first found.
        settings: by name.
    """

    members: pl.DataFrame
    scores: pl.DataFrame
    settings: Mapping[str, Attack]


def attacked(examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design) -> Attacked:
    """Attack the models of every setting whose design says how.

    Raises:
        InputError: a design without models, models that do not know the same examples, twins that are not
            complementary, or shadows of a method that has none.
    """
    settings, rows = {}, []
    for name, setting in design.settings.items():
        if setting.membership is None:
            continue
        own = examples.filter(setting=name).drop_nulls("label")
        uses = trials.filter(setting=name)
        pool = uses.filter(role="pool")
        if pool.is_empty() and (setting.membership.design == "pool" or setting.membership.attack != "loss"):
            raise InputError(
                f"setting {name}: its design has an attack ({setting.membership.attack}) and there are no trials of "
                "the role pool to attack or to compare with; run the study's pool, or leave membership out"
            )
        wanted = pl.col("trial").is_in(uses["trial"].unique().to_list()) & pl.col("split").is_in(SPLITS)
        here = predictions.filter(wanted & pl.col("step").is_null())
        if setting.membership.design == "pool":
            here = here.filter(pl.col("trial").is_in(pool["trial"].to_list()))
            own = _predicted(name, own, examples.filter(setting=name), here)
            found = dict(_pools(name, setting, setting.membership, own, pool, here))
        else:
            found = dict(with_shadows(name, setting, setting.membership, own, uses, here))
            audited = np.any([targets.known.any(axis=0) for targets in found.values()], axis=0)
            own, found = own.filter(audited), {method: targets.on(audited) for method, targets in found.items()}
        settings[name] = Attack(own, found)
        used = pool if setting.membership.design == "pool" else uses.filter(role="study")
        rows += [_rows(own, targets, used.filter(method=method)) for method, targets in found.items()]
    whole = pl.concat(rows) if rows else pl.DataFrame(schema=_ROWS)
    whole = whole.unique(["trial", "example"], keep="first", maintain_order=True)
    return Attacked(
        records.validate(whole.select("trial", "example", "member"), "members"),
        records.validate(whole.select("trial", "example", "score"), "scores"),
        settings,
    )


def _predicted(name: str, labelled: pl.DataFrame, own: pl.DataFrame, here: pl.DataFrame) -> pl.DataFrame:
    """The examples of a pool, those with a label."""
    of = here["example"].unique()
    unknown = of.filter(~of.is_in(own["example"].to_list()))
    if len(unknown):
        raise InputError(
            f"setting {name}: {len(unknown)} examples of its pool are not in the table examples, such as "
            f"{unknown.sort()[0]!r}; a pool is attacked on the data that it was made of"
        )
    return labelled.filter(pl.col("example").is_in(of.to_list()))


_ROWS = {"trial": pl.String, "example": pl.String, "member": pl.Boolean, "score": pl.Float64}


def _rows(examples: pl.DataFrame, targets: Targets, uses: pl.DataFrame) -> pl.DataFrame:
    """The rows of `members` and `scores` of a method's targets."""
    trial = dict(uses.select("seed", "trial").iter_rows())
    model, place = np.nonzero(targets.known)
    names = pl.Series("trial", [trial[seed] for seed in targets.seeds], dtype=pl.String)
    return pl.DataFrame(
        {
            "trial": names.gather(model),
            "example": examples["example"].gather(place),
            "member": targets.member[model, place],
            "score": targets.score[model, place],
        },
        schema=_ROWS,
    )


# Pools


@dataclass(frozen=True, eq=False)
class _Entry:
    """The models of a method's pool that are there with their twins.

    Attributes:
        seeds: of each [N].
        pairs: int [N], the index of each one's twin.
        answers: about the setting's pool examples; None where labels only were predicted.
        notes: which were left out, and why.
    """

    seeds: tuple[int, ...]
    pairs: np.ndarray
    answers: Answers | None
    notes: tuple[str, ...]

    def among(self, seeds: set[int], why: str) -> _Entry:
        """The models of these seeds, whole pairs."""
        kept = np.array([place for place, seed in enumerate(self.seeds) if seed in seeds], dtype=int)
        if len(kept) == len(self.seeds):
            return self
        place = np.full(len(self.seeds), -1)
        place[kept] = np.arange(len(kept))
        answers = None if self.answers is None else self.answers.take(kept)
        left = f"{(len(self.seeds) - len(kept)) // 2} more pairs of models are left out: {why}"
        return _Entry(tuple(self.seeds[one] for one in kept), place[self.pairs[kept]], answers, (*self.notes, left))


def _pools(
    name: str, setting: SettingDesign, how: MembershipDesign, own: pl.DataFrame, pool: pl.DataFrame, here: pl.DataFrame
) -> Iterator[tuple[str, Targets]]:
    present = pool["method"].unique(maintain_order=True).to_list()
    methods = [method for method in dict.fromkeys([*setting.methods, *present]) if method in present]
    entries = {method: _entry(name, method, own, pool.filter(method=method), here) for method in methods}
    if how.shadows is not None and how.shadows not in entries:
        hint = did_you_mean(how.shadows, methods)
        raise InputError(f'setting {name}: shadows are of the method "{how.shadows}", which has no pool; {hint}')
    others = None if how.shadows is None else entries[how.shadows]
    for method, entry in entries.items():
        where = f"setting {name}, method {method}"
        yield method, _attack_pool(where, own, entry, how, None if method == how.shadows else others)


def _entry(name: str, method: str, own: pl.DataFrame, uses: pl.DataFrame, here: pl.DataFrame) -> _Entry:
    where = f"setting {name}, method {method}"
    uses = uses.sort("seed")
    answering = set(here["trial"].unique())
    twin, seed = dict(uses.select("trial", "pair").iter_rows()), dict(uses.select("trial", "seed").iter_rows())
    for trial, other in twin.items():
        if twin.get(other) != trial:
            raise InputError(
                f"{where}: the pool's model {seed[trial]} names {other} as its twin, which is no model of the pool "
                "that names it back; a pool is made of pairs"
            )
    lost = {}
    for row in uses.iter_rows(named=True):
        if row["status"] == "failed":
            lost[row["trial"]] = row["reason"] or "no reason was recorded"
        elif row["trial"] not in answering:
            lost[row["trial"]] = "there are no predictions"
    kept = [trial for trial in twin if trial not in lost and twin[trial] not in lost]
    place = {trial: index for index, trial in enumerate(kept)}
    notes = ()
    if lost:
        reasons = [f"model {seed[trial]}: {reason}" for trial, reason in lost.items()]
        said = ", ".join(reasons[:SHOWN]) + (f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else "")
        notes = (f"{(len(twin) - len(kept)) // 2} of {len(twin) // 2} pairs of models are left out ({said})",)
    answers = answers_of(own, kept, here, where)
    if answers is not None and kept:
        pool = answers.known.any(axis=0)
        lacking = np.flatnonzero((answers.known != pool).any(axis=1))
        if len(lacking):
            model = int(lacking[0])
            raise InputError(
                f"{where}: model {seed[kept[model]]} has predictions of {int(answers.known[model].sum())} of the "
                f"{int(pool.sum())} examples of the pool; every model predicts all of them"
            )
    pairs = np.array([place[twin[trial]] for trial in kept], dtype=int)
    return _Entry(tuple(seed[trial] for trial in kept), pairs, answers, notes)


def _attack_pool(where: str, own: pl.DataFrame, entry: _Entry, how: MembershipDesign, others: _Entry | None) -> Targets:
    notes: tuple[str, ...] = ()
    if others is not None:
        common = set(entry.seeds) & set(others.seeds)
        why = f"{how.shadows} has no models of their seeds"
        entry, others = entry.among(common, why), others.among(common, why)
        notes = (f"compared with models of {how.shadows}, not of its own method",)
    notes = (*entry.notes, *notes)
    if entry.answers is None or (others is not None and others.answers is None):
        return no_targets(own, ONLY_LABELS, notes)
    answers, columns = entry.answers, np.flatnonzero(entry.answers.known.any(axis=0))
    phi, member = answers.phi[:, columns], answers.member[:, columns]
    shadow_phi = None
    if others is not None and others.answers is not None:
        theirs = others.answers
        if (theirs.known != answers.known).any() or (theirs.member != answers.member).any():
            raise InputError(
                f"{where}: its pool and that of {how.shadows} were not trained on the same examples, model by model; "
                f"without that the models of {how.shadows} cannot be its shadows"
            )
        shadow_phi = theirs.phi[:, columns]
    pool = Pool(phi, member, entry.pairs, columns, len(own), how, shadow_phi)
    few = pool.too_few(len(entry.seeds))
    if few:
        return no_targets(own, few, notes)
    try:
        score = pool.scores
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    loss = -loss_score(answers.phi)
    parts = {"notes": notes, "pool": pool, "loss": loss, "correct": answers.correct}
    return Targets(entry.seeds, score, answers.member, answers.known, unit_codes(own), **parts)
