"""Defines how questions to a model are shared out: one process answers all of them, several answer a share each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Question = TypeVar("Question")
Answers = TypeVar("Answers")
Item = TypeVar("Item")


class ShareOut(Protocol):
    """Callable that returns the answers to all questions, whichever process computes them."""

    def __call__(
        self,
        answer: Callable[[Sequence[Question]], Answers],
        questions: Sequence[Question],
        weave: Callable[[Sequence[Answers]], Answers],
    ) -> Answers:
        """Return the answers to all questions, in their order.

        Args:
            answer: computes the answers to some questions.
            questions: [n].
            weave: makes one of the answers of several processes, each of which answered every n-th question.
        """
        ...


def answer_all(
    answer: Callable[[Sequence[Question]], Answers],
    questions: Sequence[Question],
    weave: Callable[[Sequence[Answers]], Answers],
) -> Answers:
    """Return the answers to all questions, computed by this process; see `ShareOut`."""
    return answer(questions)


def woven(parts: Sequence[Sequence[Item]]) -> list[Item]:
    """Return the items of n parts in their order, where the first part holds the items 0, n, 2n, … and so on.

    Example:
        >>> woven(["adg", "be", "cf"])
        ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    """
    whole: list[Item] = [item for part in parts for item in part]
    for first, part in enumerate(parts):
        whole[first :: len(parts)] = part
    return whole
