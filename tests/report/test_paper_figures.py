"""Figures as papers print them: what is drawn is what the tables say."""

from __future__ import annotations

import dataclasses
from collections import Counter

import polars as pl
import pytest
import vl_convert

from evenhand.audit.design import Design
from evenhand.audit.figure_design import Figure, Rank
from evenhand.audit.measures import check_figures
from evenhand.errors import InputError
from evenhand.report import figures, paper, theme
from evenhand.report.wording import counts

PARITY = ("accuracy", "demographic_parity_difference", "equalized_odds_difference")


def figure(kind, *panels, **options):
    return Figure.parse({"name": "fig", "kind": kind, "panels": list(panels), **options}, "figure")


def redesigned(results, **changes):
    return dataclasses.replace(results, design=results.design.model_copy(update=changes))


def drawn(chart) -> dict[str, list[dict]]:
    """The rows of each panel, by the name of its data."""
    return {name: rows for name, rows in chart.to_dict()["datasets"].items() if name.startswith("rows")}


def text_of(chart) -> str:
    """All that is in a chart, lines of one text joined."""
    return str(chart.to_dict()).replace("', '", " ")


@pytest.fixture(scope="module")
def by_group(simulate):
    results = simulate(settings=("faces", "posts"))
    panels = [{"setting": name, "measures": PARITY} for name in results.design.settings]
    return results, paper.draw(results, figure("groups", *panels))


def test_every_group_has_its_value_and_interval_for_every_method(by_group):
    results, chart = by_group
    rows = drawn(chart)["rows 1"]
    own = results.estimates.filter(
        pl.col("seed").is_null(), pl.col("group").is_not_null(), setting="faces", measure=PARITY[1]
    )
    found = {(row["y"].partition(" ")[0], row["m"]): row for row in rows if "m" in row}
    assert found.keys() == {(row["group"], row["method"]) for row in own.iter_rows(named=True)}
    for row in own.iter_rows(named=True):
        point = found[row["group"], row["method"]]
        assert point["c"] == pytest.approx(row["value"], rel=1e-3)
        assert (point["l"], point["h"]) == pytest.approx((row["low"], row["high"]), rel=1e-3)
        assert point["f"] == pytest.approx(row["noise_high"], rel=1e-3)


def test_the_margin_lies_about_the_reference_and_nothing_else(by_group):
    results, chart = by_group
    assert any("a" in row for rows in drawn(chart).values() for row in rows)
    for rows in drawn(chart).values():
        assert {row["m"] for row in rows if "a" in row} <= {"full"}
        for row in (row for row in rows if "a" in row):
            margin = results.design.margins["default"]
            assert row["a"] == pytest.approx(max(row["c"] - margin, 0), abs=1e-3)
            assert row["b"] == pytest.approx(min(row["c"] + margin, 1), abs=1e-3)


def test_the_sign_above_a_group_is_the_verdict_of_its_contrast(by_group):
    results, chart = by_group
    said = {row["y"].partition(" ")[0]: row["v"] for row in drawn(chart)["rows 5"] if "v" in row}
    rates = pl.col("measure").is_in(["true_positive_rate", "false_positive_rate"])
    own = results.verdicts.filter(rates, pl.col("group").is_not_null(), setting="posts", comparison="gap change")
    assert set(said) == set(own["group"])
    widened = set(own.filter(disparity="widens")["group"])
    assert {group for group, word in said.items() if word == "gap widens"} == widened
    own = results.verdicts.filter(setting="posts", measure="accuracy", comparison="change").drop_nulls("group")
    said = {row["y"].partition(" ")[0]: row["v"] for row in drawn(chart)["rows 3"] if "v" in row}
    assert said.items() >= dict(own.select("group", "verdict").iter_rows()).items()
    signs = {row["v"]: (row["k"], row["s"]) for rows in drawn(chart).values() for row in rows if "v" in row}
    colours, shapes = theme.COLOURS | theme.GAP_COLOURS, theme.SHAPES | theme.GAP_SHAPES
    assert signs == {verdict: (colours[verdict], shapes[verdict]) for verdict in signs}


def test_the_brackets_hold_the_sizes_of_the_groups_in_the_data(by_group):
    results, chart = by_group
    rows = drawn(chart)["rows 0"]
    own = results.examples.filter(setting="faces")
    for label in {row["y"] for row in rows}:
        name, _, size = label.removesuffix("\u00a0").removesuffix(")").partition(" (")
        members = own if name == "everyone" else own.filter(pl.col("attribute.shape").list.contains(name))
        assert int(size) == len(members)


def test_the_title_counts_the_verdicts_that_are_shown(by_group):
    results, chart = by_group
    groups, everyone = pl.col("group").is_not_null(), pl.col("attribute").is_null()
    shown = results.verdicts.filter(
        pl.col("measure").is_in(PARITY), pl.col("setting").is_not_null(), groups | everyone, comparison="change"
    )
    title = " ".join(chart.to_dict()["title"]["text"])
    assert title.startswith(
        f"lora against full, by group: worse in {counts(shown)['worse']} of {len(shown)} comparisons"
    )


def test_panels_of_one_measure_share_their_axis_and_disparities_begin_at_0(by_group):
    _, chart = by_group
    domains = {}
    for line in chart.to_dict()["vconcat"][:2]:
        for panel in line["hconcat"]:
            scales = {str(layer["encoding"]["y"]["scale"]["domain"]) for layer in panel["layer"] if _scaled(layer)}
            domains.setdefault(panel["title"]["subtitle"], set()).update(scales)
    assert len(domains) == 3 and all(len(found) == 1 for found in domains.values())
    assert all(next(iter(found)).startswith("[0.0") for name, found in domains.items() if name != "accuracy")


def _scaled(layer) -> bool:
    return "domain" in layer.get("encoding", {}).get("y", {}).get("scale", {})


def test_a_measure_that_is_taken_class_by_class_is_said_to_be_absent(simulate):
    results = simulate(classes=3)
    chart = paper.draw(results, figure("groups", {"setting": "faces", "measures": PARITY}))
    assert text_of(chart).count("of groups: the report says") == 2


def test_without_a_reference_there_are_values_and_no_verdicts(simulate):
    results = simulate(references=())
    chart = paper.draw(results, figure("groups", {"setting": "faces", "measures": ["accuracy"]}))
    (rows,) = drawn(chart).values()
    assert all("c" in row and "a" not in row for row in rows)
    assert "nothing was compared" in " ".join(chart.to_dict()["title"]["text"])


@pytest.fixture(scope="module")
def calibration(simulate):
    results = simulate()
    places = ({"setting": "faces"}, {"setting": "faces", "of": "worst"})
    return results, paper.draw(results, figure("calibration", *places))


def test_histograms_hold_all_predictions_and_gaps_are_confidence_minus_outcome(calibration):
    results, chart = calibration
    rows = drawn(chart)
    assert rows.keys() == {f"rows {place} {method}" for place in (0, 1) for method in (0, 1)}
    for name, found in rows.items():
        assert sum(row["b"] for row in found if "b" in row) == pytest.approx(1, abs=1e-3), name
        curve = results.curves.filter(pl.col("group").is_null() == (name[5] == "0"), measure="reliability")
        curve = curve.filter(method=("full", "lora")[int(name[7])])
        gaps = sorted(row["g"] - row["y"] for row in found if "y" in row)
        assert gaps == pytest.approx(sorted(curve["x"] - curve["y"]), abs=1e-3)
        assert all(row["u"] <= row["g"] <= row["v"] for row in found if "g" in row)


def test_the_worst_calibrated_group_is_named_with_its_size_and_its_error(calibration):
    results, chart = calibration
    (group,) = results.curves["group"].drop_nulls().unique()
    size = results.examples.filter(pl.col("attribute.shape").list.contains(group)).height
    assert f"largest ECE: shape = {group} ({size})" in text_of(chart)
    error = results.estimates.filter(
        pl.col("seed").is_null(), measure="expected_calibration_error", group=group, method="lora"
    ).row(0, named=True)
    assert f"ECE {error['value']:.3f} ({error['noise_high']:.3f})" in text_of(chart)


def test_without_probabilities_a_figure_of_calibration_says_so(simulate):
    chart = paper.draw(simulate(logits=False), figure("calibration", {"setting": "faces"}))
    assert drawn(chart) == {} and "no probabilities" in text_of(chart)


METHODS = ("full", "head", "r1", "r64", "some", "others")
RANKS = {
    "head": Rank(rank=0),
    "r1": Rank(rank=1),
    "r64": Rank(rank=64),
    "some": Rank(rank=0.5, layers="front"),
    "others": Rank(rank=0.5, layers="random"),
}


@pytest.fixture(scope="module")
def by_rank(simulate):
    results = simulate(methods=METHODS)
    setting = results.design.settings["faces"].model_copy(update={"ranks": RANKS})
    results = redesigned(results, settings={"faces": setting})
    return results, paper.draw(results, figure("ranks", {"setting": "faces", "measures": PARITY[::2]}))


def test_ranks_stand_in_order_from_0_and_shares_of_layers_beside_each_other(by_rank):
    results, chart = by_rank
    rows = drawn(chart)["rows 0 0 0"]
    group = results.estimates["group"].drop_nulls()[0]
    level = pl.col("comparison").is_null()
    own = results.estimates.filter(level, pl.col("seed").is_null(), group=group, measure="accuracy")
    values = dict(own.select("method", "value").iter_rows())
    found = {
        method: next(row for row in rows if row["c"] == pytest.approx(values[method], rel=1e-3)) for method in values
    }
    assert [found[name]["x"] for name in ("head", "r1", "r64")] == [0, 1, 64]
    assert found["some"]["x"] < 0.5 == found["others"]["x"]
    assert (found["some"]["s"], found["others"]["s"], found["r1"]["s"]) == ("triangle-up", "diamond", "circle")
    assert "x" not in found["full"] and found["full"]["q"]


def test_a_rank_has_the_colour_of_its_verdict(by_rank):
    results, chart = by_rank
    verdicts = results.verdicts.filter(
        pl.col("group").is_not_null(), pl.col("measure").is_in(PARITY[::2]), comparison="change"
    )
    colours = Counter(row["k"] for rows in drawn(chart).values() for row in rows if "k" in row)
    # Of accuracy; a disparity has the colour of what becomes of its gaps.
    decided = Counter(theme.COLOURS[verdict] for verdict in verdicts["verdict"].drop_nulls())
    assert sum(colours.values()) == len(verdicts) and colours >= decided
    assert f"worse in {counts(verdicts).get('worse', 0)} of {len(verdicts)}" in " ".join(
        chart.to_dict()["title"]["text"]
    )


def test_a_panel_shows_the_ranks_that_it_names(by_rank):
    results, _ = by_rank
    named = {"setting": "faces", "measures": ["accuracy"], "methods": ["full", "r1"]}
    rows = drawn(paper.draw(results, figure("ranks", named)))["rows 0 0 0"]
    assert [row["x"] for row in rows if "x" in row] == [1] and any("q" in row for row in rows)


@pytest.mark.parametrize("kind", ["by_group", "calibration", "by_rank"])
def test_a_figure_fits_a_page(kind, request):
    _, chart = request.getfixturevalue(kind)
    picture = vl_convert.vegalite_to_svg(chart.to_dict(), vl_version=figures.charts.vega_lite_version())
    width = float(picture.partition('width="')[2].partition('"')[0])
    assert width < 840, "letters of 10 pixels have less than 6 points on a page of 17 cm"


def test_the_designs_figures_are_written_in_every_format_and_first(simulate, tmp_path):
    results = simulate()
    chosen = figure("groups", {"setting": "faces", "measures": ["accuracy"]}, name="fig9")
    before = [path.name for path in figures.write(results, tmp_path / "before")]
    other = chosen.model_copy(update={"name": "other"})
    written = figures.write(redesigned(results, figure=(chosen, other)), tmp_path / "figures")
    names = [f"{name}.{ending}" for name in ("fig9", "other") for ending in ("png", "svg", "pdf")]
    assert [path.name for path in written] == [*names, *before]
    assert written[2].read_bytes().startswith(b"%PDF") and "<svg" in written[1].read_text()[:200]


def test_two_figures_cannot_have_one_name():
    one = {"name": "fig", "kind": "groups", "panels": [{"setting": "s", "measures": ["accuracy"]}]}
    assert len(Design.parse({"settings": {}, "figure": [one, {**one, "name": "other"}]}, "design").figure) == 2
    with pytest.raises(InputError, match='two figures have the name "fig"'):
        Design.parse({"settings": {}, "figure": [one, one]}, "design")


@pytest.mark.parametrize(
    ("kind", "panel", "sentence"),
    [
        ("groups", {"setting": "s"}, "figure.panels: name the measures of the panels of a"),
        ("calibration", {"setting": "s", "measures": ["accuracy"]}, "measures mean nothing in a figure"),
        ("ranks", {"setting": "s", "measures": ["acuracy"]}, 'there is no measure "acuracy"; did you mean "accuracy"'),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused_in_a_sentence(kind, panel, sentence):
    with pytest.raises(InputError) as refused:
        check_figures([figure(kind, panel)])
    assert sentence in str(refused.value)
