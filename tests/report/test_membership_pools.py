"""The report of a study's pool: sentences on who leaks more, losses beside rates, the paper's figure of ROC curves."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from evenhand import Results
from evenhand.audit.figure_design import Figure, Panel
from evenhand.errors import InputError
from evenhand.report import paper
from evenhand.report.headline import headline
from evenhand.report.markdown import markdown
from evenhand.report.membership import membership_grids
from evenhand.report.membership_sentences import correlation_lines, membership_lines
from evenhand.report.page import html
from evenhand.report.tables import failed_trials, training_grid
from pool_records import design, pool

SHARES = (0.6, 0.4)
FIGURE = Figure(name="fig4", kind="roc", columns=3, panels=(Panel(setting="s"),))


@pytest.fixture(scope="module")
def results() -> Results:
    """Lora leaks more in the first group only; the second is too small for a rate at 1%; one model failed."""
    leaks = {"full": 0.4, "lora": {"a": 1.6, "b": 0.4}}
    tables = pool(leaks, n=600, models=10, shares=SHARES, failed={("lora", 3): "out of memory"})
    found = Results.compute(*tables, design(margins={"default": 0.03}))
    return replace(found, design=found.design.model_copy(update={"figure": (FIGURE,)}))


def drawn(results: Results, figure: Figure = FIGURE) -> dict:
    return paper.draw(results, figure).to_dict()


def test_a_sentence_says_who_leaks_more_and_in_which_groups(results):
    (line,) = membership_lines(results.estimates, results.verdicts, results.design)
    row = results.verdicts.filter(pl.col("group").is_null(), measure="membership_auc").row(0, named=True)
    assert line.startswith("Membership: lora leaks more than full: AUC 0.")
    assert f"(+{row['contrast']:.2f} [+{row['low']:.2f}, +{row['high']:.2f}])" in line
    assert line.endswith(
        "; it leaks more in 1 of 2 groups (race = a); the leak grew by more than in the rest in race = a."
    )
    assert line in results.summary() and line in results.to_json()["details"] and line in html(results)


def test_the_headline_of_a_pool_leads_with_the_group_that_leaks_most_and_says_what_an_area_is(results):
    rows = results.verdicts.filter(measure="membership_auc", comparison="change")
    (group,), (everyone,) = (
        rows.filter(pl.col("group").eq_missing(pl.lit(name))).iter_rows(named=True) for name in ("a", None)
    )
    (line,) = headline(results)
    bounds = f"(90% interval {group['low']:.3f} to {group['high']:.3f})"
    assert line.startswith(
        f"lora leaks more of its training set than full for race = a, by {group['contrast']:.3f} in membership AUC "
        f"{bounds}, and overall by {everyone['contrast']:.3f}. No other group is shown to be harmed; "
    )
    areas = {
        row["method"]: f"{row['value']:.2f}"
        for row in results.estimates.filter(
            pl.col("seed").is_null(), pl.col("attribute").is_null(), measure="membership_auc"
        ).iter_rows(named=True)
    }
    assert line.endswith(f"Overall membership AUC: {areas['lora']} against {areas['full']} (0.5: nothing leaks).")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"verdict": pl.lit("equivalent")}, "lora leaks as much as full, within the margin of 0.03: AUC"),
        ({"verdict": pl.lit("not worse")}, "lora leaks no more than full beyond the margin of 0.03: AUC"),
        ({"verdict": pl.lit("better")}, "lora leaks less than full: AUC"),
        ({"verdict": pl.lit("inconclusive")}, "whether lora leaks more than full is inconclusive: AUC"),
        (
            {"contrast": pl.lit(None, pl.Float64), "note": pl.lit("too few models")},
            "lora and full could not be compared (too few models).",
        ),
    ],
)
def test_every_verdict_has_its_sentence(results, change, says):
    assert says in membership_lines(results.estimates, results.verdicts.with_columns(**change), results.design)[0]


def test_without_membership_there_is_no_sentence(simulate):
    found = simulate()
    assert membership_lines(found.estimates, found.verdicts, found.design) == []
    assert correlation_lines(found.estimates, found.design, "faces", "test") == []


def test_losses_stand_beside_the_first_rate(results):
    ((_, _, grids),) = membership_grids(results.estimates, results.design)
    rates, losses = grids[0], grids[1]
    assert rates.caption == "membership TPR at 1% FPR"
    assert "distinct ones set the threshold)" in rates.rows[0][-1]
    assert losses.head[2:5] == ["train loss", "test loss", "gap"]
    assert [row[:2] for row in losses.rows] == [
        [where, method] for where in ("everyone", "race = a", "race = b") for method in ("full", "lora")
    ]
    assert losses.rows[0][4].startswith("+0.") and "[" in losses.rows[0][4]
    assert "train loss | test loss" in markdown(results)


def test_a_correlation_is_said_with_its_number_of_groups():
    leaks = dict(zip("abcd", (0.1, 0.6, 1.2, 2.0), strict=True))
    names = ["membership_auc", "membership_size_correlation", "membership_gap_correlation"]
    tables = pool({"full": leaks}, n=800, shares=(0.4, 0.3, 0.2, 0.1))
    found = Results.compute(*tables, design(["full"], measures=names))
    size, gap = correlation_lines(found.estimates, found.design, "s", "test")
    assert "Over the 4 groups of race, the rank correlation of a group's AUC with its size is −1.00 for full." in size
    assert "gap between test and train loss is" in gap
    assert size in html(found).replace("&#39;", "'") and "rank correlation" in markdown(found)


def test_failed_models_of_a_pool_are_listed_and_its_training_apart(results):
    assert failed_trials(results.trials) == [("s", "lora", "pool, model 3", "out of memory")]
    assert "| s | lora | pool, model 3 | out of memory |" in markdown(results)
    trained = results.trials.with_columns(train_loss=pl.lit(0.5))
    grid = training_grid(trained, results.design)
    assert grid is not None and [row[1:3] for row in grid.rows] == [
        ["full (pool)", "10 of 10"],
        ["lora (pool)", "9 of 10"],
    ]


# The paper's figure


def test_the_figure_has_a_panel_for_everyone_and_each_group(results):
    chart = drawn(results)
    titles = [panel["title"]["text"] for panel in chart["vconcat"][0]["vconcat"][0]["hconcat"]]
    assert titles == ["everyone (600)", "a (360)", "b (240)"]
    assert chart["title"]["text"][0].startswith(
        "lora against full, area under the ROC curve of membership: worse in 2 of 3"
    )
    (subtitle,) = chart["vconcat"][0]["title"]["subtitle"]
    assert subtitle.startswith("loss on members / on non-members: full 0.") and ", lora 0." in subtitle


def test_a_panel_says_its_rates_with_counts_or_that_there_are_too_few_non_members(results):
    rows = drawn(results)["datasets"]
    corner = {key: [row["t"] for row in rows[key] if "t" in row] for key in ("rows 0 0", "rows 0 1", "rows 0 2")}
    row = results.estimates.filter(
        pl.col("seed").is_null() & pl.col("group").is_null(), measure="membership_tpr_at_fpr_0.01", method="lora"
    ).row(0, named=True)
    counts = row["note"].partition(" members")[0]
    assert corner["rows 0 0"][0] == "TPR at 1% FPR"
    assert corner["rows 0 0"][2] == f"lora {row['value']:.3f} ({counts})".replace("0.", ".", 1)
    assert corner["rows 0 2"] == ["too few for a TPR at 1%"]


def test_bands_of_the_figure_begin_where_a_rate_can_be_given(results):
    rows = drawn(results)["datasets"]["rows 0 2"]
    banded = [row["x"] for row in rows if "l" in row]
    assert min(banded) >= 3 / 240 > min(row["x"] for row in rows if "x" in row)


def test_axes_are_logarithmic_and_the_same_in_all_panels(results):
    panels = drawn(results)["vconcat"][0]["vconcat"][0]["hconcat"]
    scales = [panel["layer"][2]["encoding"][axis]["scale"] for panel in panels for axis in "xy"]
    assert all(scale == scales[0] and scale["type"] == "log" for scale in scales)


def test_a_setting_whose_models_could_not_be_attacked_says_why():
    failed = {("lora", 3): "out of memory", ("full", 3): "out of memory"}
    tables = pool({"full": 0.4, "lora": 1.0}, failed=failed)
    found = Results.compute(*tables, design())
    chart = drawn(found)
    said = str(chart["vconcat"][0]["vconcat"][0]["hconcat"][0])
    assert "lira needs a pool of 8" in said.replace("', '", " ")
    assert membership_lines(found.estimates, found.verdicts, found.design)[0].startswith(
        "Membership: lora and full could not"
    )


@pytest.mark.slow
def test_the_figure_is_written_with_the_results(results, tmp_path):
    names = [path.name for path in results.figures(tmp_path)]
    assert names[:3] == ["fig4.png", "fig4.svg", "fig4.pdf"]


def test_a_figure_of_curves_has_no_measures():
    with pytest.raises(InputError, match="measures mean nothing in a figure of the kind roc"):
        Figure(name="x", kind="roc", panels=(Panel(setting="s", measures=("accuracy",)),))
