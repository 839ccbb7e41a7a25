"""Questions that are shared out are answered as if they were not."""

from __future__ import annotations

import pytest

from evenhand.training.shares import answer_all, woven


@pytest.mark.parametrize("processes", range(1, 5))
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_woven_shares_are_the_whole(processes, count):
    questions = list(range(count))
    shares = [questions[rank::processes] for rank in range(processes)]
    assert woven([share for share in shares if share]) == questions


def test_no_shares_are_nothing():
    assert woven([]) == []


def test_one_process_answers_every_question():
    assert answer_all(sorted, [2, 1], woven) == [1, 2]
