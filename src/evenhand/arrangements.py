"""Defines the orders in which multiple-choice prompts show their options, and the letters that they give them.

One question about one text is asked in A prompts with the same K options. A model's answer may depend on an option's
content, its identifier, or its position; a design separates these effects if all three vary independently.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np

from evenhand.errors import InputError


@dataclass(frozen=True, eq=False)
class Arrangements:
    """The prompts of one question: the content and the identifier at each position.

    Attributes:
        contents: int [A, K], the content at each position.
        identifiers: int [A, K], the identifier at each position.

    Raises:
        InputError: a prompt that does not have each content and each identifier exactly once.

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import Arrangements
        >>> design = Arrangements(contents=np.array([[0, 1], [1, 0]]), identifiers=np.array([[0, 1], [0, 1]]))
        >>> design.prompts, design.options, design.fair, design.balanced
        (2, 2, True, False)
    """

    contents: np.ndarray
    identifiers: np.ndarray

    def __post_init__(self) -> None:
        """Refuse prompts that do not hold each content and each identifier once."""
        for name, rows in (("contents", self.contents), ("identifiers", self.identifiers)):
            if rows.ndim != 2 or rows.shape[1] < 2 or rows.shape != self.contents.shape:
                raise InputError(f"{name} has the shape {rows.shape}; it should be [prompts, 2 or more positions]")
            if (np.sort(rows, axis=1) != np.arange(rows.shape[1])).any():
                raise InputError(f"{name}: every prompt should have each of 0 to {rows.shape[1] - 1} once")

    @property
    def prompts(self) -> int:
        """The number of prompts, A."""
        return self.contents.shape[0]

    @property
    def options(self) -> int:
        """The number of options, K."""
        return self.contents.shape[1]

    @cached_property
    def cells(self) -> np.ndarray:
        """Counts, int [K, K, K], of each content under each identifier at each position."""
        counts = np.zeros((self.options,) * 3, dtype=np.int64)
        np.add.at(counts, (self.contents, self.identifiers, np.arange(self.options)), 1)
        return counts

    @property
    def balanced(self) -> bool:
        """True if all cells are equally frequent, so that the three effects are estimated independently."""
        return bool((self.cells == self.cells[0, 0, 0]).all())

    @property
    def fair(self) -> bool:
        """True if every content has every slot (an identifier at a position) equally often."""
        return bool((self.cells == self.cells[:1]).all())

    @cached_property
    def orders(self) -> np.ndarray:
        """The order of identifiers of each prompt, int [A]; prompts of one order have the same slots."""
        return np.unique(self.identifiers, axis=0, return_inverse=True)[1].reshape(-1)

    def by_content(self, values: np.ndarray) -> np.ndarray:
        """Return values by position [..., A, K] as values by content [..., A, K]."""
        position_of = np.broadcast_to(np.argsort(self.contents, axis=1), values.shape)
        return np.take_along_axis(values, position_of, axis=-1)


def cyclic_arrangements(options: int) -> Arrangements:
    """K prompts: contents are rotated, identifiers stay in place. Identifier and position cannot be separated.

    Args:
        options: K, 2 or more.

    Source: Zheng et al. (2024), cyclic permutations.

    Example:
        >>> from evenhand.metrics import cyclic_arrangements
        >>> cyclic_arrangements(3).contents.tolist()
        [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    """
    rotated = _rotations(options)
    return Arrangements(rotated, np.broadcast_to(rotated[0], rotated.shape))


def permuted_arrangements(options: int) -> Arrangements:
    """K! prompts: all orders of contents, identifiers stay in place.

    Args:
        options: K, 2 or more.

    Source: Zheng et al. (2024), full permutations.

    Example:
        >>> from evenhand.metrics import permuted_arrangements
        >>> permuted_arrangements(3).prompts  # 3!
        6
    """
    orders = np.array(list(permutations(range(options))))
    return Arrangements(orders, np.broadcast_to(orders[0], orders.shape))


def balanced_arrangements(options: int) -> Arrangements:
    """K² prompts: each content appears once under each identifier at each position.

    Contents and identifiers are rotated separately.

    Args:
        options: K, 2 or more.

    Example:
        >>> from evenhand.metrics import balanced_arrangements
        >>> design = balanced_arrangements(3)
        >>> design.prompts, design.balanced
        (9, True)
    """
    rotated = _rotations(options)
    return Arrangements(np.repeat(rotated, options, axis=0), np.tile(rotated, (options, 1)))


def _rotations(options: int) -> np.ndarray:
    """Return the rotations of 0 to K − 1, int [K, K]."""
    return (np.arange(options)[:, None] + np.arange(options)) % options
