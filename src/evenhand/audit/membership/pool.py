"""Runs the membership-inference attack that each setting declares, and returns `members` and `scores`.

Two designs (`evenhand.audit.design.MembershipDesign`):

- `pool`: trials of the role `pool` are models in complementary pairs, `pair` naming the twin's trial. The split `train`
  of a model's predictions holds the pool's examples that it was trained on, `test` the others. Each is the target in
  turn. A model that failed takes its twin with it. Language models have `tokens` of texts in place of predictions.
- `shadows`: the targets are the study's own trials, which predict `train` too. Trials of the role `pool` and the subset
  "seed 13" are the shadows of the targets of seed 13, and were trained on none of what they predict: these examples are
  the ones that are audited.

The report shows models that cannot be attacked, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import Design, MembershipDesign, SettingDesign
from evenhand.audit.evaluation import unit_codes
from evenhand.audit.membership.attack import BASE, Pool
from evenhand.audit.membership.confidences import ONLY_LABELS, SPLITS, Answers, answers_of
from evenhand.audit.membership.leakage import Targets, no_targets
from evenhand.audit.membership.shadows import with_shadows
from evenhand.audit.membership.texts import answers_about_texts
from evenhand.errors import InputError, did_you_mean
from evenhand.metrics import loss_score

Read = Callable[[pl.DataFrame, Sequence[str], pl.DataFrame, str], Answers | None]
"""Reads what some trials say of a setting's examples, as `answers_of` does, from the table that holds it."""

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
        members, scores: the tables. For a trial that two settings attack they hold the first setting's rows.
        settings: by name.
    """

    members: pl.DataFrame
    scores: pl.DataFrame
    settings: Mapping[str, Attack]


def attacked(
    examples: pl.DataFrame,
    trials: pl.DataFrame,
    predictions: pl.DataFrame,
    design: Design,
    tokens: pl.DataFrame | None = None,
) -> Attacked:
    """Attack the models of every setting whose design declares an attack.

    Args:
        examples, trials, predictions: the tables.
        design: of the settings; those whose kind is not classification are attacked by `tokens`.
        tokens: the table; None: no rows.

    Raises:
        InputError: a design without models, models that do not know the same examples, twins that are not
            complementary, or shadows of a method that has none.
    """
    settings, rows = {}, []
    for name, setting in design.settings.items():
        if setting.membership is None:
            continue
        labelled = examples.filter(setting=name)
        texts = setting.kind != "classification"
        if not texts:
            labelled = labelled.drop_nulls("label")
        setting_trials = trials.filter(setting=name)
        pool = setting_trials.filter(pl.col("subset").ne_missing(pl.lit(BASE)), role="pool")
        if pool.is_empty() and (setting.membership.design == "pool" or setting.membership.attack != "loss"):
            raise InputError(
                f"setting {name}: its design has an attack ({setting.membership.attack}) and there are no trials of "
                "the role pool to attack or to compare with; run the study's pool, or remove membership"
            )
        is_attacked = pl.col("trial").is_in(setting_trials["trial"].unique().to_list()) & pl.col("split").is_in(SPLITS)
        table = (records.TABLES["tokens"].empty() if tokens is None else tokens) if texts else predictions
        setting_predictions = table.filter(is_attacked & pl.col("step").is_null())
        if setting.membership.design == "pool":
            base = setting_trials.filter(role="pool", subset=BASE)["trial"].to_list()
            base_tokens = setting_predictions.filter(pl.col("trial").is_in(base))
            setting_predictions = setting_predictions.filter(pl.col("trial").is_in(pool["trial"].to_list()))
            labelled = _predicted(name, labelled, examples.filter(setting=name), setting_predictions)
            of_texts = partial(answers_about_texts, design=setting.membership, base=base_tokens)
            read: Read = of_texts if texts else answers_of
            by_method = dict(_pools(name, setting, setting.membership, labelled, pool, setting_predictions, read))
        else:
            by_method = dict(
                with_shadows(name, setting, setting.membership, labelled, setting_trials, setting_predictions)
            )
            audited = np.any([targets.known.any(axis=0) for targets in by_method.values()], axis=0)
            labelled = labelled.filter(audited)
            by_method = {method: targets.on(audited) for method, targets in by_method.items()}
        settings[name] = Attack(labelled, by_method)
        used = pool if setting.membership.design == "pool" else setting_trials.filter(role="study")
        rows += [_rows(labelled, targets, used.filter(method=method)) for method, targets in by_method.items()]
    table = pl.concat(rows) if rows else pl.DataFrame(schema=_ROWS)
    table = table.unique(["trial", "example"], keep="first", maintain_order=True)
    return Attacked(
        records.validate(table.select("trial", "example", "member"), "members"),
        records.validate(table.select("trial", "example", "score"), "scores"),
        settings,
    )


def _predicted(name: str, labelled: pl.DataFrame, examples: pl.DataFrame, predictions: pl.DataFrame) -> pl.DataFrame:
    """The labelled examples that the models of a pool predicted."""
    predicted = predictions["example"].unique()
    unknown = predicted.filter(~predicted.is_in(examples["example"].to_list()))
    if len(unknown):
        raise InputError(
            f"setting {name}: {len(unknown)} examples of its pool are not in the table examples, such as "
            f"{unknown.sort()[0]!r}; a pool is attacked on the data that it was made of"
        )
    return labelled.filter(pl.col("example").is_in(predicted.to_list()))


_ROWS = {"trial": pl.String, "example": pl.String, "member": pl.Boolean, "score": pl.Float64}


def _rows(examples: pl.DataFrame, targets: Targets, trials: pl.DataFrame) -> pl.DataFrame:
    """The rows of `members` and `scores` of a method's targets."""
    trial_of_seed = dict(trials.select("seed", "trial").iter_rows())
    model, column = np.nonzero(targets.known)
    names = pl.Series("trial", [trial_of_seed[seed] for seed in targets.seeds], dtype=pl.String)
    return pl.DataFrame(
        {
            "trial": names.gather(model),
            "example": examples["example"].gather(column),
            "member": targets.member[model, column],
            "score": targets.score[model, column],
        },
        schema=_ROWS,
    )


# Pools


@dataclass(frozen=True, eq=False)
class _Entry:
    """The models of a method's pool that have predictions, as have their twins.

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
        """The models of these seeds, in whole pairs."""
        kept = np.array([index for index, seed in enumerate(self.seeds) if seed in seeds], dtype=int)
        if len(kept) == len(self.seeds):
            return self
        new_index = np.full(len(self.seeds), -1)
        new_index[kept] = np.arange(len(kept))
        answers = None if self.answers is None else self.answers.take(kept)
        note = f"{(len(self.seeds) - len(kept)) // 2} more pairs of models are left out: {why}"
        return _Entry(
            tuple(self.seeds[index] for index in kept), new_index[self.pairs[kept]], answers, (*self.notes, note)
        )


def _pools(
    name: str,
    setting: SettingDesign,
    design: MembershipDesign,
    examples: pl.DataFrame,
    pool: pl.DataFrame,
    predictions: pl.DataFrame,
    read: Read,
) -> Iterator[tuple[str, Targets]]:
    present = pool["method"].unique(maintain_order=True).to_list()
    methods = [method for method in dict.fromkeys([*setting.methods, *present]) if method in present]
    entries = {
        method: _entry(name, method, examples, pool.filter(method=method), predictions, read) for method in methods
    }
    if design.shadows is not None and design.shadows not in entries:
        hint = did_you_mean(design.shadows, methods)
        raise InputError(f'setting {name}: shadows are of the method "{design.shadows}", which has no pool; {hint}')
    shadows = None if design.shadows is None else entries[design.shadows]
    for method, entry in entries.items():
        where = f"setting {name}, method {method}"
        yield method, _attack_pool(where, examples, entry, design, None if method == design.shadows else shadows)


def _entry(
    name: str, method: str, examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, read: Read
) -> _Entry:
    where = f"setting {name}, method {method}"
    trials = trials.sort("seed")
    with_predictions = set(predictions["trial"].unique())
    twin, seed = dict(trials.select("trial", "pair").iter_rows()), dict(trials.select("trial", "seed").iter_rows())
    for trial, other in twin.items():
        if twin.get(other) != trial:
            raise InputError(
                f"{where}: the pool's model {seed[trial]} names {other} as its twin, which is no model of the pool "
                "that names it back; a pool is made of pairs"
            )
    missing = {}
    for row in trials.iter_rows(named=True):
        if row["status"] == "failed":
            missing[row["trial"]] = row["reason"] or "no reason was recorded"
        elif row["trial"] not in with_predictions:
            missing[row["trial"]] = "there are no predictions"
    kept = [trial for trial in twin if trial not in missing and twin[trial] not in missing]
    index_of = {trial: index for index, trial in enumerate(kept)}
    notes = ()
    if missing:
        reasons = [f"model {seed[trial]}: {reason}" for trial, reason in missing.items()]
        listed = ", ".join(reasons[:SHOWN]) + (f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else "")
        notes = (f"{(len(twin) - len(kept)) // 2} of {len(twin) // 2} pairs of models are left out ({listed})",)
    answers = read(examples, kept, predictions, where)
    if answers is not None and kept:
        pool_examples = answers.known.any(axis=0)
        lacking = np.flatnonzero((answers.known != pool_examples).any(axis=1))
        if len(lacking):
            model = int(lacking[0])
            raise InputError(
                f"{where}: model {seed[kept[model]]} has predictions of {int(answers.known[model].sum())} of the "
                f"{int(pool_examples.sum())} examples of the pool; every model predicts all of them"
            )
    pairs = np.array([index_of[twin[trial]] for trial in kept], dtype=int)
    return _Entry(tuple(seed[trial] for trial in kept), pairs, answers, notes)


def _attack_pool(
    where: str, examples: pl.DataFrame, entry: _Entry, design: MembershipDesign, shadows: _Entry | None
) -> Targets:
    notes: tuple[str, ...] = ()
    if shadows is not None:
        common = set(entry.seeds) & set(shadows.seeds)
        why = f"{design.shadows} has no models of their seeds"
        entry, shadows = entry.among(common, why), shadows.among(common, why)
        notes = (f"compared with models of {design.shadows}, not of its own method",)
    notes = (*entry.notes, *notes)
    if entry.answers is None or (shadows is not None and shadows.answers is None):
        return no_targets(examples, ONLY_LABELS, notes)
    answers, columns = entry.answers, np.flatnonzero(entry.answers.known.any(axis=0))
    phi, member = answers.phi[:, columns], answers.member[:, columns]
    shadow_phi = None
    if shadows is not None and shadows.answers is not None:
        shadow_answers = shadows.answers
        if (shadow_answers.known != answers.known).any() or (shadow_answers.member != answers.member).any():
            raise InputError(
                f"{where}: its pool and that of {design.shadows} were not trained on the same examples, model by "
                f"model; without that the models of {design.shadows} cannot be its shadows"
            )
        shadow_phi = shadow_answers.phi[:, columns]
    pool = Pool(phi, member, entry.pairs, columns, len(examples), design, shadow_phi)
    reason = pool.too_few(len(entry.seeds))
    if reason:
        return no_targets(examples, reason, notes)
    try:
        score = pool.scores
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    loss = -loss_score(answers.phi) if answers.loss is None else answers.loss
    parts = {"notes": notes, "pool": pool, "loss": loss, "correct": answers.correct}
    return Targets(entry.seeds, score, answers.member, answers.known, unit_codes(examples), **parts)
