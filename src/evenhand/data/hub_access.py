"""Asks once whether the Hugging Face hub answers; where it does not, its libraries read their caches at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from evenhand.errors import first_line

PATIENCE = 10.0
"""Seconds to wait for the first answer of the hub. Its libraries would retry for 25 s, for each file."""


@contextmanager
def hub_or_cache() -> Iterator[str | None]:
    """Context manager in which the hub's libraries ask it, or if it does not answer, read what they have downloaded.

    Yields:
        Why the hub cannot be reached; None if it answers.
    """
    from huggingface_hub import constants

    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else _unreachable(constants.ENDPOINT)
    if why is None or constants.HF_HUB_OFFLINE:
        yield why
        return
    constants.HF_HUB_OFFLINE = True
    try:
        with _datasets_offline():
            yield why
    finally:
        constants.HF_HUB_OFFLINE = False


@contextmanager
def _datasets_offline() -> Iterator[None]:
    """Context manager in which the library `datasets`, which has a switch of its own, does not ask the hub either."""
    from datasets import config

    before, config.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


@cache
def _unreachable(endpoint: str) -> str | None:
    """Return why nothing answers at an address; None if something does, whatever it says."""
    from huggingface_hub import errors
    from huggingface_hub.utils import get_session

    try:
        get_session().head(endpoint, timeout=PATIENCE)
    except (errors.HTTPError, OSError) as error:  # pyright: ignore[reportPrivateImportUsage]
        return first_line(error)
    return None
