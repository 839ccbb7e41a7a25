"""Silences transformers and PEFT while weights are read and written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Context manager without progress bars, loading reports and harmless warnings of transformers and PEFT.

    Other code checks whatever matters in them. The context hides a call by PEFT that transformers deprecates, and
    PEFT's note that GPT-2's layers are transposed, which PEFT handles itself.
    """
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False", category=UserWarning)
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
