"""Charts and figures of translations: shares that add up, verdicts beside the bars, panels that say what is missing."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand import records
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.figure_design import Figure, Panel, Rank
from evenhand.errors import InputError
from evenhand.report.paper import draw
from evenhand.report.translations import outcome_names, shares_chart, stacked

SHARES = {"pro": 0.6, "anti": 0.2, "neutral": 0.1, "mixed": 0.0, "none": 0.1}


class Tables:
    """What a figure is drawn of."""

    def __init__(self, estimates: pl.DataFrame, verdicts: pl.DataFrame, design: Design) -> None:
        self.estimates, self.verdicts, self.design = estimates, verdicts, design
        self.curves = records.TABLES["curves"].empty()
        self.examples = pl.DataFrame({"setting": ["main"] * 4, "example": list("abcd")})


def tables(figure: Figure | None = None, ranks: dict[str, Rank] | None = None) -> Tables:
    rows, compared = [], []
    for place, method in enumerate(("full", "r1", "r8")):
        for group in (None, "male", "female"):
            where = {"setting": "main", "split": "test", "method": method, "seed": None}
            where |= {"attribute": None if group is None else "stereotype", "group": group}
            for outcome, share in SHARES.items():
                moved = share + {"pro": 0.1, "anti": -0.1}.get(outcome, 0.0) * place
                bounds = {"low": moved - 0.05, "high": moved + 0.05}
                rows.append({**where, "measure": f"{outcome}_share", "value": moved, **bounds, "n": 40})
            rows.append({**where, "measure": "bleu", "value": 40.0 + place, "low": 35.0, "high": 45.0, "n": 40})
            if method != "full":
                for measure, contrast in (("pro_share", 0.1 * place), ("bleu", -1.0 * place)):
                    compared.append(
                        {
                            **where,
                            "measure": measure,
                            "reference": "full",
                            "contrast": contrast,
                            "low": 0.01,
                            "high": 0.3,
                        }
                        | {"verdict": "worse", "runs": 3}
                    )
    for row in compared:
        row.pop("seed")
    setting = SettingDesign(
        references=("full",), methods=("full", "r1", "r8"), kind="translation", ranks=ranks or {}, task="winomt"
    )
    design = Design(settings={"main": setting}, margins={"default": 0.05, "bleu": 2.0}, figure=figure)
    return Tables(records.from_rows(rows, "estimates"), records.from_rows(compared, "verdicts"), design)


def drawn_rows(chart) -> list[dict]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_the_shares_of_a_bar_follow_each_other_up_to_one():
    for method in ("full", "r1", "r8"):
        own = [row for row in stacked(tables().estimates.filter(pl.col("group").is_null())) if row["m"] == method]
        assert [row["o"] for row in own] == outcome_names()
        assert [row["a"] for row in own[1:]] == pytest.approx([row["b"] for row in own[:-1]])
        assert own[-1]["b"] == pytest.approx(1)
        assert "l" in own[0] and all("l" not in row for row in own[1:])


def test_the_chart_has_a_panel_for_everyone_and_each_stereotype():
    found = tables()
    chart = shares_chart(found.estimates, found.design)
    assert {row["g"].strip() for row in drawn_rows(chart)} == {"everyone", "male by stereotype", "female by stereotype"}


def test_without_translations_there_is_nothing_to_draw():
    with pytest.raises(InputError, match="no translations were audited"):
        shares_chart(records.TABLES["estimates"].empty(), tables().design)


def test_a_figure_of_shares_shows_the_methods_of_its_panels_with_their_verdicts():
    panels = (Panel(setting="main", methods=("full", "r1")), Panel(setting="main", methods=("full", "r8")))
    figure = Figure(name="fig7", kind="shares", panels=panels, columns=2)
    chart = draw(tables(figure), figure).to_dict()
    one, two = chart["datasets"]["rows 0"], chart["datasets"]["rows 1"]
    assert {row["m"] for row in one if "m" in row} == {"full", "r1"}
    assert {row["y"] for row in two if "y" in row} == {"r8"}
    assert [row["r"] for row in one if "r" in row] == pytest.approx([0.55, 0.65])
    assert "worse in 2 of 2 comparisons" in chart["description"]


def test_a_panel_without_translations_says_so():
    figure = Figure(name="fig7", kind="shares", panels=(Panel(setting="main"),))
    found = tables(figure)
    found.estimates, found.verdicts = found.estimates.head(0), found.verdicts.head(0)
    assert "no translations of this" in str(draw(found, figure).to_dict())


def test_ranks_of_translations_are_of_everyone_and_bleu_keeps_its_scale():
    figure = Figure(name="fig9", kind="ranks", panels=(Panel(setting="main", measures=("pro_share", "bleu")),))
    chart = draw(tables(figure, {"r1": Rank(rank=1), "r8": Rank(rank=8)}), figure).to_dict()
    share, score = chart["datasets"]["rows 0 0 0"], chart["datasets"]["rows 0 0 1"]
    assert [row["c"] for row in share] == pytest.approx([0.6, 0.7, 0.8])
    assert [row["c"] for row in score] == pytest.approx([40, 41, 42])
    reference = next(row for row in score if row.get("q"))
    assert (reference["a"], reference["b"]) == pytest.approx((38, 42))
    assert "by group" not in chart["description"]


def test_a_panel_bears_its_title():
    panel = {"setting": "main", "methods": ["full", "r1"], "title": "After general lines"}
    chart = draw(tables(), Figure.parse({"name": "fig", "kind": "shares", "panels": [panel]}, "figure"))
    assert "After general lines" in str(chart.to_dict())
