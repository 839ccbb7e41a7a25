"""Downloads base models from the Hugging Face hub, and explains failures."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evenhand.data.hub_access import hub_or_cache
from evenhand.errors import InputError, UnavailableError, first_line

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARDS = "model-*-of-*.safetensors"

READS_TEXT = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "*.model")
READS_IMAGES = ("preprocessor_config.json", "processor_config.json")
"""Patterns of the tokenizer and preprocessor files of a model."""

CHAT_TEMPLATE = "chat_template.jinja"
"""The file of a tokenizer's chat template. It is no part of a model's identity, but of a trial's that uses it."""


def download(model: str) -> Path:
    """Download a model into the hub's cache and return its folder, whose name is the commit.

    Only missing files are downloaded: a configuration, safetensors weights, tokenizer and preprocessor files, never
    code. A file gets its final name when it is complete.

    Args:
        model: `org/name`, or `org/name@revision` with a branch, a tag or a commit; the branch main without one.

    Raises:
        InputError: there is no such model or revision, it is gated, the hub cannot be reached, or the download failed.
    """
    from huggingface_hub import constants, errors, snapshot_download

    repository, _, revision = model.partition("@")
    page = f"{constants.ENDPOINT}/{repository}"
    instead = "or give a local folder"
    unreachable = None
    try:
        with _progress_bars_on_terminals_only(), hub_or_cache() as unreachable:
            folder = snapshot_download(
                repository,
                revision=revision or None,
                allow_patterns=["config.json", WEIGHTS, SHARDS, INDEX, *READS_TEXT, *READS_IMAGES, CHAT_TEMPLATE],
                ignore_patterns=["*/*"],
            )
        return Path(folder)
    except errors.GatedRepoError:
        raise UnavailableError(
            f"{repository} is gated: accept its terms at {page} and log in with `hf auth login`, {instead}"
        ) from None
    except errors.RevisionNotFoundError:
        raise InputError(
            f'{repository} has no revision "{revision or constants.DEFAULT_REVISION}"; its branches and tags are '
            f"listed at {page}/tree/main"
        ) from None
    except errors.RepositoryNotFoundError:
        raise InputError(
            f'there is no local folder and no hub model "{repository}" (or it is private: run `hf auth login`)'
        ) from None
    except errors.HFValidationError:
        raise InputError(
            f'"{model}" is neither a local folder nor a hub id such as google/vit-base-patch16-224-in21k'
        ) from None
    except errors.LocalEntryNotFoundError as error:
        cause = error.__cause__ or error
        if isinstance(cause, errors.HfHubHTTPError):
            raise _hub_error(repository, cause) from None
        why = unreachable or first_line(cause)
        raise UnavailableError(
            f'"{repository}" is not a local folder and the hub cannot be reached ({why}); connect once to download it, '
            f"{instead}"
        ) from None
    except errors.HfHubHTTPError as error:
        raise _hub_error(repository, error) from None
    except (errors.HTTPError, OSError) as error:  # pyright: ignore[reportPrivateImportUsage]
        if isinstance(error, OSError) and error.errno is not None:
            # A full disk, say: an error of this machine, not of the hub.
            raise
        raise InputError(
            f"the download of {repository} failed ({first_line(error)}); run the same command again: the files that "
            "were complete are kept"
        ) from None


@contextmanager
def _progress_bars_on_terminals_only() -> Iterator[None]:
    """Context manager that hides the hub's progress bars in the log of a job."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if sys.stderr.isatty() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _hub_error(repository: str, error: OSError) -> InputError:
    """Return the error for a refusal by the hub that has no exception class of its own."""
    why = first_line(error)
    if re.search(r"\b401 (Client )?(Error|Unauthorized)", why):
        return InputError(f"the hub does not accept the access token of this machine ({why}); run `hf auth login`")
    return InputError(f"the hub refuses {repository} ({why}); run the same command later, or give a local folder")
