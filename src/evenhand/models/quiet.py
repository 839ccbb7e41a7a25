"""Silences transformers and PEFT while weights are read and written."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# On a CPU it recommends a package that downloads its kernels, as soon as PEFT imports it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


@contextmanager
def quiet() -> Iterator[None]:
    """Context manager without progress bars, loading reports and harmless warnings of transformers and PEFT.

    Other code checks whatever matters in them. The context hides a call by PEFT that transformers deprecates, and
    PEFT's note that GPT-2's layers are transposed, which PEFT handles itself.
    """
    from transformers.utils import logging as logs

    level, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False", category=UserWarning)
            yield
    finally:
        logs.set_verbosity(level)
        if bars:
            logs.enable_progress_bar()
