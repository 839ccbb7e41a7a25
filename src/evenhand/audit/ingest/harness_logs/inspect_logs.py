"""Reads the logs that Inspect writes: `.eval` archives and `.json` files, without the package inspect_ai.

An archive (inspect_ai/log/_recorders/eval.py) has `header.json` (the evaluation and its results), `reductions.json`
(the score of each sample over its epochs) and `summaries.json` (each sample's id, target, metadata and scores, with
texts cut at 1,024 characters). A JSON log has the same in one object, with whole samples.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evenhand.audit.ingest.harness_logs.archives import Archive
from evenhand.audit.ingest.harness_logs.evaluations import CUT, Document, Evaluation, TaskScores, unread
from evenhand.audit.ingest.harness_logs.inspect_frames import frame_evaluations
from evenhand.audit.ingest.harness_logs.inspect_scores import SampleScore, metrics
from evenhand.audit.ingest.harness_logs.json_files import entry, mapping, parsed, parsed_list, read_json
from evenhand.errors import InputError
from evenhand.tables.files import is_table

HARNESS = "Inspect"

ARCHIVE, JSON = ".eval", ".json"

_LOG = re.compile(r"\d{4}-\d{2}-\d{2}T.+\.(eval|json)")
"""The names of logs, which begin with their date."""

_REMOVED = "Key removed from summary (> 1k)"
"""What a summary has in place of a long value that is no text."""

_LONGEST = 900
"""Characters of a text in a summary that may be cut: it is cut at a word, and ends in dots then."""

COMPARED = 800
"""Characters of an input that identify a sample: fewer than what a summary keeps of a long one."""


def evaluations(path: Path) -> list[Evaluation]:
    """The evaluations in a folder, at any depth, by their names; or that of one log or table of samples.

    A folder's logs of evaluations that did not finish are left out, with a note on the others.

    Raises:
        InputError: there are none, the log that is named did not finish, or a file is not what Inspect wrote.
    """
    if path.is_file():
        if path.suffix.lower() not in (ARCHIVE, JSON):
            if is_table(path):
                return frame_evaluations(path)
            raise InputError(f"{path} is no log of Inspect: neither .eval nor .json, nor a table of samples")
        found = _evaluation(path)
        if isinstance(found, str):
            raise InputError(f"{path} is of an evaluation that did not finish: its status is {found}")
        return [found]
    if not path.is_dir():
        raise InputError(f"there is no file or folder {path}")
    files = sorted(file for file in path.rglob("*") if _LOG.fullmatch(file.name) and file.is_file())
    read = {file: _evaluation(file) for file in files}
    finished = [one for one in read.values() if isinstance(one, Evaluation)]
    if not finished:
        what = f"finished log of {HARNESS}" if read else f"log of {HARNESS} (DATE_TASK.eval or .json)"
        raise unread(str(path), what, "name the folder of `inspect eval --log-dir`")
    left = len(read) - len(finished)
    return finished if not left else [*finished[:-1], _noted(finished[-1], left, path)]


def _noted(evaluation: Evaluation, left: int, folder: Path) -> Evaluation:
    logs = "a log" if left == 1 else f"{left} logs"
    return replace(evaluation, notes=(*evaluation.notes, f"{folder.name}: {logs} of unfinished evaluations left out."))


def _evaluation(path: Path) -> Evaluation | str:
    """The evaluation in a log; the log's status where it did not finish."""
    where = str(path)
    if path.suffix.lower() == JSON:
        log = read_json(path)
        header, reductions, samples = log, log.get("reductions"), log.get("samples")
    else:
        with Archive(path) as archive:
            header = parsed(archive.read("header.json"), f"header.json in {where}")
            if header.get("status") != "success":
                return str(header.get("status"))
            name = "reductions.json"
            reductions = parsed_list(archive.read(name), f"{name} in {where}") if name in archive else []
            name = "summaries.json"
            samples = parsed_list(archive.read(name), f"{name} in {where}") if name in archive else None
    status = entry(header, "status", str, where)
    if status != "success":
        return status
    if not isinstance(samples, list) or not samples:
        raise InputError(f"{where} has no samples: run inspect eval without --no-log-samples")
    spec = entry(header, "eval", dict, where)
    listed = [mapping(sample, f"a sample in {where}") for sample in samples]
    of_log = metrics(
        mapping(header.get("results"), f'"results" of {where}'),
        reductions if isinstance(reductions, list) else [],
        _scores(listed, where),
        where,
    )
    task = entry(spec, "task", str, where).rpartition("/")[2]
    model = entry(spec, "model", str, where)
    packages = spec.get("packages")
    version = packages.get("inspect_ai") if isinstance(packages, dict) else None
    generation = mapping(spec.get("model_generate_config") or {}, f'"model_generate_config" of {where}')
    seed = generation.get("seed")
    return Evaluation(
        where,
        model,
        {
            "model": model,
            **{name: _text(spec.get(name)) for name in ("model_args", "model_base_url", "solver", "solver_args")},
            "generation": _text({name: value for name, value in generation.items() if name != "seed"}),
        },
        "" if seed is None else str(seed),
        {
            task: TaskScores(
                _documents(listed, where, path.suffix.lower() != JSON),
                of_log,
                {"version": str(spec.get("task_version"))},
            )
        },
        (),
        f"{HARNESS} {version}" if isinstance(version, str) else HARNESS,
    )


def _documents(samples: Sequence[Mapping[str, Any]], where: str, summarized: bool) -> dict[str, Document]:
    """The samples by id; those of several epochs are one. Long values are not whole where samples are summarized."""
    found: dict[str, Document] = {}
    for sample in samples:
        identifier = _identifier(sample, where)
        metadata = sample.get("metadata")
        if identifier not in found:
            fields = {
                name: CUT if summarized and _is_cut(value) else value
                for name, value in (metadata if isinstance(metadata, dict) else {}).items()
            }
            found[identifier] = Document(fields, _content(sample.get("input"), sample.get("target")))
    return found


def _is_cut(value: Any) -> bool:
    return value == _REMOVED or (isinstance(value, str) and len(value) > _LONGEST and value.endswith("..."))


def _scores(samples: Sequence[Mapping[str, Any]], where: str) -> dict[str, list[SampleScore]]:
    """By scorer the scores of samples, an entry for each epoch."""
    found: dict[str, list[SampleScore]] = {}
    for sample in samples:
        scores = sample.get("scores")
        for scorer, score in (scores if isinstance(scores, dict) else {}).items():
            if isinstance(score, dict):
                found.setdefault(str(scorer), []).append(SampleScore(_identifier(sample, where), score.get("value")))
    return found


def _identifier(sample: Mapping[str, Any], where: str) -> str:
    value = sample.get("id")
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise InputError(f'a sample in {where} has no "id"')
    return str(value)


def _content(question: Any, target: Any) -> str:
    """What identifies a sample, whether its input is whole or cut; conversations are told apart by the target alone."""
    asked = " ".join(question[: 8 * COMPARED].split())[:COMPARED] if isinstance(question, str) else ""
    wanted = target if isinstance(target, str) else _text(target)
    text = f"{asked}\0{' '.join(wanted[: 8 * COMPARED].split())[:COMPARED]}"
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
