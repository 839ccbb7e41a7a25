"""Recovers the decimal that a float16 or float32 number was rounded from, such as .1 from 0.100000001."""

from __future__ import annotations

import numpy as np


def as_meant(values: np.ndarray) -> np.ndarray:
    """Numbers as float64; numbers of fewer bits become the shortest decimal with the same stored value.

    A float32 of .6 is .60000002384, above the edge .6 of a bin to which .6 belongs. The intended value is .6.

    Args:
        values: numbers of any shape.

    Example:
        >>> import numpy as np
        >>> from evenhand.decimals import as_meant
        >>> as_meant(np.array([0.6, 0.2], dtype=np.float16)).tolist()
        [0.6, 0.2]
    """
    if values.dtype not in (np.float16, np.float32):
        return values.astype(np.float64)
    distinct, codes = np.unique(values, return_inverse=True)
    return distinct.astype(np.str_).astype(np.float64)[codes].reshape(values.shape)
