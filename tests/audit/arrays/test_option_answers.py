"""Claims about the table `options` as arrays of answers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evenhand.audit.arrays.option_answers import beliefs, choices
from evenhand.errors import InputError
from evenhand.metrics.options.token_bias import yes_no_effects


def rows(prompt: str, answers: dict[str, list[tuple]], trial: str = "t") -> list[dict]:
    """Rows of `options`: per example (content, identifier, position, log-probability)."""
    return [
        {
            "trial": trial,
            "step": None,
            "example": example,
            "prompt": prompt,
            "option": content,
            "identifier": identifier,
            "position": position,
            "log_prob": log_prob,
            "tokens": 2,
            "bytes": 4,
            "sequence_loss": None,
        }
        for example, given in answers.items()
        for content, identifier, position, log_prob in given
    ]


def multiple_choice() -> pl.DataFrame:
    first = {name: [("male", "B", 0, -1.0), ("female", "A", 1, -2.0)] for name in ("x", "y")}
    second = {name: [("female", "A", 0, -3.0), ("male", "B", 1, -4.0 - (name == "y"))] for name in ("y", "x")}
    return pl.DataFrame(rows("mc/letters/w@01.10", first) + rows("mc/letters/w@10.01", second))


def test_scores_stand_by_position_and_codes_have_their_names():
    (found,) = choices(multiple_choice().sample(fraction=1, shuffle=True, seed=0).sort("prompt"))
    assert found.contents == ("male", "female") and found.identifiers == ("A", "B") and found.examples == ("x", "y")
    assert found.arrangements.contents.tolist() == [[0, 1], [1, 0]]
    assert found.arrangements.identifiers.tolist() == [[1, 0], [0, 1]]
    assert found.scores.tolist() == [[[-1, -2], [-3, -4]], [[-1, -2], [-3, -5]]]
    (halved,) = choices(multiple_choice(), "per_token")
    assert halved.scores[1].tolist() == [[-0.5, -1], [-1.5, -2.5]]


def test_cloze_stands_by_content_and_has_no_arrangement():
    answers = {name: [("male", None, None, -1.0), ("female", None, None, -2.0)] for name in "xyz"}
    (found,) = choices(pl.DataFrame(rows("cloze/plain/w", answers)))
    assert found.arrangements is None and found.identifiers is None and found.contents == ("male", "female")
    assert found.scores.tolist() == [[[-1, -2]]] * 3


def test_a_sayer_of_yes_is_told_from_a_believer():
    def asked(claim: str, order: str, yes: float) -> list[dict]:
        places = {"yes": int(order[0]), "no": int(order[1])}
        given = [("yes", None, places["yes"], yes), ("no", None, places["no"], 0.0)]
        return rows(f"yn/plain/w?{claim}@{order}", {"x": sorted(given, key=lambda row: row[2])})

    for belief, love in ((0.0, 3.0), (1.0, 3.0)):
        told = []
        for order, shift in (("01", 0.2), ("10", -0.2)):
            for content, sign in (("male", 1), ("female", -1)):
                told += asked(content, order, love + sign * belief + shift)
                told += asked(f"not {content}", order, love - sign * belief + shift)
        (found,) = beliefs(pl.DataFrame(told))
        effects = yes_no_effects(found.affirmed, found.negated)
        assert found.contents == ("male", "female") and effects.answer == pytest.approx([love])
        assert effects.belief == pytest.approx(np.array([[belief, -belief]]))
        assert choices(pl.DataFrame(told)) == []


def test_without_negated_questions_there_are_none():
    given = [("yes", None, None, -1.0), ("no", None, None, -2.0)]
    (found,) = beliefs(pl.DataFrame(rows("yn/plain/w?male", {"x": given}) + rows("yn/plain/w?female", {"x": given})))
    assert found.negated is None and found.affirmed.tolist() == [[1.0, 1.0]]
    with pytest.raises(InputError, match="in the negative only"):
        beliefs(pl.DataFrame(rows("yn/plain/w?not male", {"x": given})))


def test_a_table_that_is_not_whole_is_refused():
    table = multiple_choice()
    with pytest.raises(InputError, match="not every example has the same 2 options"):
        choices(table.head(7))
    with pytest.raises(InputError, match="mc/letters/w: every prompt should be asked about the same examples"):
        choices(table.filter((pl.col("example") == "x") | (pl.col("prompt") == "mc/letters/w@01.10")))
    with pytest.raises(InputError, match="options of 2 trials; answers are those of one"):
        choices(pl.concat([table, table.with_columns(trial=pl.lit("u"))]))
    with pytest.raises(InputError, match="has no sequence_loss"):
        choices(table, "sequence_loss")
