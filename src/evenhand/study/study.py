"""Defines the public class `Study`, which takes a YAML file's keys and runs the study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evenhand.audit.results import Results
from evenhand.study.run import run
from evenhand.study.spec import StudySpec


class Study(StudySpec):
    """One or several settings that are run, kept and reported together.

    It takes the keys of a YAML file: `Study(task="utkface/gender", model=..., methods={...})`. Its attributes and
    errors are those of `evenhand.study.spec.StudySpec`.

    Example:
        >>> import evenhand
        >>> methods = {"full": {"kind": "full"}, "lora": {"kind": "lora", "rank": 4}}
        >>> keys = {"task": "synthetic/posts", "model": "tiny-bert", "reference": "full", "seeds": 3}
        >>> study = evenhand.Study(**keys, methods=methods)
        >>> main = study.settings["main"]
        >>> main.reference, main.methods["lora"]["alpha"], main.seeds
        (('full',), 8.0, (0, 1, 2))
    """

    def __init__(self, /, **values: Any) -> None:
        """Resolve the keys of a study. Raises InputError."""
        super().__init__(**values)

    def run(self, out: str | Path, data: str | Path | None = None, **options: Any) -> Results:
        """Train what is missing, audit, and write the report; see `evenhand.study.run.run`."""
        return run(self, out, None if data is None else Path(data), **options)
