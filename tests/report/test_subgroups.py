"""What reports and the gate say of subgroups that were searched."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand.audit.gate import judge
from evenhand.audit.policy import Policy
from evenhand.errors import InputError
from evenhand.report.headline import details, headline
from evenhand.report.markdown import markdown
from evenhand.report.page import html
from evenhand.report.plot import plot
from evenhand.report.subgroups import subgroup_grids, surviving


def people(harm: float, n: int = 3000) -> pl.DataFrame:
    """One model that is right in 85%, less often where sex is f and region is north, as often in each alone."""
    rng = np.random.default_rng(3)
    sex, region, label = rng.choice(["f", "m"], n), rng.choice(["north", "south"], n), rng.integers(0, 2, n)
    alone = (sex == "f") ^ (region == "north")
    right = rng.random(n) < 0.85 - harm * np.where(alone, -0.5, 0.5)
    return pl.DataFrame({"sex": sex, "region": region, "y": label, "guess": np.where(right, label, 1 - label)})


def audited(harm: float, **options):
    return evenhand.audit(
        people(harm),
        label="y",
        prediction="guess",
        groups=["sex", "region"],
        measures=["accuracy"],
        subgroups={"depth": 2},
        **options,
    )


@pytest.fixture(scope="module")
def found():
    """An audit with a planted disparity that no single group shows."""
    return audited(0.2)


@pytest.fixture(scope="module")
def nothing():
    """An audit of a model that treats all alike."""
    return audited(0.0)


def test_the_headline_names_the_worst_subgroup_and_what_chance_reaches(found):
    (line,) = [line for line in headline(found) if "searched" in line]
    worst = surviving(found.findings).row(0, named=True)
    assert f"model is less accurate for {worst['subgroup']} than for the rest, by" in line
    assert f"in the worst of {worst['searched']} contrasts searched" in line


def test_the_headline_is_silent_where_nothing_survives_and_the_details_say_so(nothing):
    assert surviving(nothing.findings).is_empty()
    assert not any("searched" in line for line in headline(nothing))
    assert "Subgroups: 8 contrasts were searched. None survives." in details(nothing)


def test_the_chart_draws_each_subgroup_against_the_band_of_chance(found):
    rows = found.plot("subgroups").to_dict()["datasets"]["rows"]
    assert {row["s"] for row in rows} == set(found.findings.filter(selection="max T")["subgroup"])
    worst = max(rows, key=lambda row: row["v"])
    assert worst["k"] == "survives" and worst["v"] > worst["b"] and worst["c"] == -worst["b"]


def test_there_is_no_chart_where_nothing_was_searched(small):
    with pytest.raises(InputError, match="none were searched"):
        plot(small, "subgroups")


def test_the_table_has_what_survives_with_the_other_half(found):
    ((_, _, (grid,)),) = subgroup_grids(found)
    first = dict(zip(grid.head, grid.rows[0], strict=True))
    assert first["subgroup"] == "sex=f & region=north" or first["subgroup"] == "sex=m & region=south"
    assert first["compared"] == "accuracy: gaps of model"
    assert any(dict(zip(grid.head, row, strict=True))["other half"] != "—" for row in grid.rows)


def test_where_nothing_survives_the_table_has_the_worst_and_says_so(nothing):
    ((_, _, (grid,)),) = subgroup_grids(nothing)
    assert grid.caption == "The worst subgroups" and all(row[-1] == "does not survive" for row in grid.rows)


def test_page_and_markdown_have_the_section_only_where_subgroups_were_searched(found, small):
    assert 'id="subgroups"' in html(found) and "driven by" in markdown(found)
    assert 'id="subgroups"' not in html(small) and "driven by" not in markdown(small)


def test_a_subgroup_that_fares_worse_fails_the_gate_unless_the_policy_lets_it_pass(found, nothing):
    assert nothing.gate(Policy(inconclusive="pass")).passed
    failed = found.gate().failed
    assert {finding.row["group"] for finding in failed if finding.row["attribute"] == "subgroup"} == set(
        surviving(found.findings)["subgroup"]
    )
    assert found.gate(Policy.parse({"findings": "pass"}, "policy")).passed
    assert found.gate(Policy.failing_on(["different"])).passed


def test_a_waiver_covers_one_subgroup(found):
    worst = surviving(found.findings)["subgroup"].to_list()
    waivers = [{"attribute": "subgroup", "group": name, "until": "2999-01-01", "reason": "known"} for name in worst]
    answer = found.gate(Policy.parse({"waivers": waivers}, "policy"))
    assert answer.passed and answer.counts["waived"] == len(worst)


@pytest.mark.parametrize(("p", "failing"), [(0.001, True), (0.02, True), (0.04, False)])
def test_a_strict_gate_counts_a_search_as_one_family(found, p, failing):
    """Beside one family that is not worse, a subgroup is held to half of the level."""
    verdicts = found.verdicts.filter(pl.col("p_adjusted").is_not_null())
    alike = verdicts.head(1).with_columns(p_adjusted=pl.lit(0.9), verdict=pl.lit("inconclusive"))
    worst = surviving(found.findings).head(1).with_columns(p_adjusted=pl.lit(p))
    judged = partial(judge, alike, found.estimates.clear(), findings=worst)
    assert not judged(Policy()).passed
    answer = judged(Policy(), strict=True)
    assert answer.passed is not failing and answer.families == 2
    assert answer.findings[-1].outcome == ("failed" if failing else "inconclusive")
    assert judged(Policy.parse({"findings": "pass"}, "policy"), strict=True).families == 1


def test_verdicts_pay_for_a_search_in_a_strict_gate(found):
    """A verdict that is worse at 4% alone is not beside a search in which nothing was found."""
    verdicts = found.verdicts.filter(pl.col("p_adjusted").is_not_null(), group="f")
    worse = verdicts.head(1).with_columns(p_adjusted=pl.lit(0.04), verdict=pl.lit("worse"))
    nothing = found.findings.with_columns(p_adjusted=pl.lit(0.8), verdict=pl.lit("inconclusive"))
    judged = partial(judge, worse, found.estimates.clear(), Policy(), strict=True)
    assert not judged().passed and judged(findings=nothing).passed
