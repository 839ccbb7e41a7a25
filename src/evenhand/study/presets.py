"""Lists the studies that come with the package, and finds a study by file or by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evenhand.errors import InputError, did_you_mean
from evenhand.study.study_file import read_study_file

FOLDER = Path(__file__).parent.parent / "presets"


def list_presets() -> list[tuple[str, str]]:
    """Return the name and the first comment line of every preset."""
    return [(_name(path), _summary(path)) for path in sorted(FOLDER.rglob("*.yaml"))]


def read_preset(name: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the mapping of a preset, such as `demo` or `paper/fig2`."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise InputError(f'there is no preset "{name}"; {did_you_mean(name, [known for known, _ in list_presets()])}')
    return read_study_file(path, changes)


def find_study(study: str, changes: Sequence[str] = ()) -> tuple[dict[str, Any], str]:
    """Return a study's mapping and its name, from a YAML file if `study` ends in .yaml, else from a preset.

    Raises:
        InputError: neither a file nor a preset has that name.
    """
    path = Path(study)
    if path.suffix in (".yaml", ".yml"):
        return read_study_file(path, changes), path.stem
    if path.is_file():
        raise InputError(f"{study} does not end in .yaml; a study is a YAML file or the name of a preset")
    return read_preset(study, changes), study


def _name(path: Path) -> str:
    """Return a preset's name from its path."""
    return path.relative_to(FOLDER).with_suffix("").as_posix()


def _summary(path: Path) -> str:
    """Return the first comment line of a preset."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip()
