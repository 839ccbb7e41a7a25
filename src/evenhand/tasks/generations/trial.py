"""Lets a trial's model continue prompts, scores the continuations, and adds the scores to the trial's table `values`.

Scores that are there already are not computed again, and continuations that were kept are not generated again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.data.dataset import Dataset
from evenhand.errors import InputError
from evenhand.seeds import generator
from evenhand.tasks.generations.generations import Generations, place
from evenhand.tasks.generations.prompt_sets import SPLIT
from evenhand.tasks.generations.scorers import Scorer
from evenhand.tasks.language import room_for_text
from evenhand.tasks.work import Work

if TYPE_CHECKING:
    from torch import nn

    from evenhand.methods.method import Method
    from evenhand.models.find import BaseModel

VALUES = "values"
"""The table of scores; that of a trial of pairs holds its own values, too."""
TEXTS = "continuations.parquet"
"""The file of continuations, with the columns of the table `responses`; no report reads it."""
UNSCORED = "continuations-unscored.parquet"
"""The file of continuations on which a scorer failed; it is removed once they are scored."""

_KEY = "split:"


def check_room(wanted: Generations, base: BaseModel, methods: Sequence[Method]) -> None:
    """Raise InputError, before anything is trained, if prompts with continuations do not fit a model.

    Args:
        wanted: the prompts, and how long continuations may be.
        base: the base model.
        methods: those of the setting, whose virtual tokens take of its positions.
    """
    from evenhand.models.load import shared_tokenizer

    tokenizer = shared_tokenizer(base)
    longest = max(len(ids) for prompts in wanted.prompts for ids in wanted.encode(tokenizer, prompts.inputs))
    for method in methods:
        room = room_for_text(base, method, tokenizer)
        # A method whose virtual tokens leave no room at all is refused by its own check.
        if 0 < room < longest + wanted.new_tokens:
            raise InputError(
                f"generations: a prompt has {longest} tokens, which with {wanted.new_tokens} new ones exceeds the "
                f"{room} positions of {base.name} under {method.kind}; lower generations.new_tokens"
            )


def write_generations(work: Work, model: nn.Module | None, folder: Path) -> bool:
    """Add the scores that a trial's table lacks; does nothing where the study asks for none.

    Args:
        work: the trial, with its `generations` and `trial`.
        model: the trained model; None: only continuations that were kept can be scored.
        folder: of the trial.

    Returns:
        Whether all scores are there; False if continuations are missing and there is no model.

    Raises:
        InputError: a scorer returned something else than a number in its range for each continuation. The continuations
            stay in the folder until they are scored.
    """
    wanted = work.generations
    if wanted is None:
        return True
    path = folder / f"{VALUES}.parquet"
    known = _keys(path)
    missing = {
        split: scorers
        for split in wanted.splits
        if (scorers := [each for each in wanted.scorers if _lacks(known, wanted, place(split, each))])
    }
    if not missing:
        return True
    texts = _kept_texts(folder / UNSCORED, wanted) | _kept_texts(folder / TEXTS, wanted)
    unwritten = [split for split in missing if split not in texts]
    if unwritten and model is None:
        return False
    if unwritten and model is not None:
        texts |= continuations(work, wanted, model, {split: wanted.splits[split] for split in unwritten})
        if wanted.keep_texts:
            _keep_texts(folder / TEXTS, work.trial, wanted, texts)
    try:
        rows = scores(wanted, texts, missing).with_columns(trial=pl.lit(work.trial))
    except InputError:
        _keep_texts(folder / UNSCORED, work.trial, wanted, texts)
        raise
    new = {place(split, scorer) for split, scorers in missing.items() for scorer in scorers}
    valid = {name for name in wanted.keys if name not in new}
    own = pl.concat_str("split", pl.lit("/"), "name").is_in(sorted(valid)) | ~_of_generations()
    kept = {name: key for name, key in known.items() if name in valid or not name.startswith(f"{SPLIT}/")}
    _write(path, rows, own, {**kept, **{name: wanted.keys[name] for name in new}})
    (folder / UNSCORED).unlink(missing_ok=True)
    return True


def beside_scores(folder: Path, rows: pl.DataFrame, covered: Mapping[str, str]) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the rows of a trial's own table `values`, and their keys, with the scores of continuations in its folder.

    Args:
        folder: of the trial, which may have scores already.
        rows: of the trial's own splits.
        covered: metadata of the file: what identifies the examples of each split.
    """
    path = folder / f"{VALUES}.parquet"
    known = {name: key for name, key in _keys(path).items() if name.startswith(f"{SPLIT}/")}
    if not known:
        return rows, dict(covered)
    scored = records.read(path, VALUES).filter(_of_generations())
    return pl.concat([rows.select(scored.columns), scored]), {**covered, **_metadata(known)}


def continuations(
    work: Work, wanted: Generations, model: nn.Module, splits: Mapping[str, Dataset]
) -> dict[str, list[str]]:
    """Return what a model writes after the prompts of some splits, [n] texts each.

    A sampled continuation depends on the seeds of the study and the trial and on its own id: methods with one seed draw
    the same noise.
    """
    from evenhand.models.load import device, shared_tokenizer
    from evenhand.training.generation import generate_continuations
    from evenhand.training.loop import reproducible

    where, tokenizer, training = device(), shared_tokenizer(work.base), model.training
    room = room_for_text(work.base, work.method, tokenizer)
    texts: dict[str, list[str]] = {}
    for split, prompts in splits.items():
        drawn = [generator(wanted.seed, SPLIT, work.seed, str(example)) for example in prompts.example]
        with reproducible(where):
            texts[split] = generate_continuations(
                model.to(where),
                tokenizer,
                wanted.encode(tokenizer, prompts.inputs),
                where,
                wanted.new_tokens,
                drawn if wanted.samples is not None else None,
                wanted.temperature,
                room=room,
            )
        if wanted.template is not None:  # an answer is a text of its own
            texts[split] = [f"\n{text.strip()}" if text.strip() else "" for text in texts[split]]
    model.train(training)
    return texts


def scores(
    wanted: Generations, texts: Mapping[str, Sequence[str]], missing: Mapping[str, Sequence[Scorer]]
) -> pl.DataFrame:
    """Return the rows of the table `values` without the column `trial`.

    Args:
        wanted: what the study asks for.
        texts: the continuations, by split.
        missing: by split, the scorers to use.

    Raises:
        InputError: as `Scorer.score`.
    """
    from evenhand.models.load import device

    frames = []
    for split, scorers in missing.items():
        prompts = wanted.splits[split]
        for scorer in scorers:
            values: dict[str, Any] = {
                "split": [split] * len(prompts),
                "example": [str(example) for example in prompts.example],
                "step": [None] * len(prompts),
                "name": [scorer.name] * len(prompts),
                "value": np.asarray(scorer.score(prompts.inputs, texts[split], device()), dtype=np.float64),
            }
            frames.append(pl.DataFrame(values, schema_overrides={"step": pl.Int64}))
    return pl.concat(frames)


def _lacks(known: Mapping[str, str], wanted: Generations, name: str) -> bool:
    """Return whether scores are missing, or are of other continuations or another scorer."""
    return known.get(name) != wanted.keys[name]


def _of_generations() -> pl.Expr:
    """Return which rows are scores of continuations."""
    return pl.col("split").str.starts_with(f"{SPLIT}/")


def _keys(path: Path) -> dict[str, str]:
    """Return the keys in a file's metadata, by what they are of; none where there is no readable file."""
    try:
        kept = records.metadata(path) if path.is_file() else {}
    except records.UNREADABLE:  # cut off
        return {}
    return {name.removeprefix(_KEY): key for name, key in kept.items() if name.startswith(_KEY)}


def _metadata(keys: Mapping[str, str]) -> dict[str, str]:
    """Return keys as they are named in metadata."""
    return {f"{_KEY}{name}": key for name, key in keys.items()}


def _write(path: Path, rows: pl.DataFrame, own: pl.Expr, keys: Mapping[str, str]) -> None:
    """Write the rows behind those of an earlier file that stay, where there is one."""
    columns = list(records.TABLES[VALUES].columns)
    frames = [rows.select(columns)]
    if _keys(path):
        frames.insert(0, records.read(path, VALUES).filter(own).select(columns))
    records.write(pl.concat(frames), path, VALUES, _metadata(keys))


def _kept_texts(path: Path, wanted: Generations) -> dict[str, list[str]]:
    """Return the continuations that an earlier run kept and the study still asks for, by split."""
    keys = _keys(path)
    splits = [split for split, key in wanted.text_keys.items() if keys.get(split) == key]
    if not splits:
        return {}
    kept = records.read(path, "responses")
    return {split: kept.filter(split=split)["text"].to_list() for split in splits}


def _keep_texts(path: Path, trial: str, wanted: Generations, texts: Mapping[str, Sequence[str]]) -> None:
    """Write the continuations of all splits into a file of the trial's folder."""
    frames = [
        pl.DataFrame(
            {
                "trial": [trial] * len(written),
                "split": [split] * len(written),
                "example": [str(example) for example in wanted.splits[split].example],
                "step": pl.Series([None] * len(written), dtype=pl.Int64),
                "text": list(written),
            }
        )
        for split, written in texts.items()
    ]
    keys = {split: wanted.text_keys[split] for split in texts}
    records.write(pl.concat(frames), path, "responses", _metadata(keys))
