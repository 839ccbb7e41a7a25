"""The key `trackers:` of a study: the experiment trackers that training curves and results are sent to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evenhand.errors import InputError, did_you_mean

PACKAGES: Mapping[str, str] = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
}
"""The trackers that a study may name, with the package that each needs."""


def parse_trackers(value: Any) -> tuple[str, ...]:
    """Return the names of trackers, from one name, a list of names, or nothing.

    Raises:
        InputError: a name that is no tracker's, or something else than names.

    Example:
        >>> parse_trackers("tensorboard"), parse_trackers(None)
        (('tensorboard',), ())
    """
    names = (value,) if isinstance(value, str) else () if value is None else value
    if not isinstance(names, list | tuple):
        raise InputError(f"trackers should be a name or a list of names, such as [tensorboard], not {value!r}")
    for name in names:
        if name not in PACKAGES:
            raise InputError(f"trackers: there is no tracker {name!r}; {did_you_mean(str(name), PACKAGES)}")
    return tuple(dict.fromkeys(names))


def check_installed(names: Sequence[str]) -> None:
    """Raise InputError for trackers whose package is not installed, or that accelerate does not know."""
    if not names:
        return
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS
    from accelerate.utils import imports

    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise InputError(f"trackers: this version of accelerate does not know {name}; pip install -U accelerate")
        if not getattr(imports, f"is_{name}_available")():
            raise InputError(f"trackers: {name} is not installed; pip install {PACKAGES[name]}, or leave it out")
