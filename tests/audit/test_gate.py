"""The gate: exit status, policies, limits on intervals, waivers with a date, Holm over families."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand import records
from evenhand.audit import results_folder
from evenhand.audit.gate import judge
from evenhand.audit.policy import Policy, read_policy
from evenhand.audit.strictness import undirected
from evenhand.errors import InputError
from evenhand.report import gate_answer

NO_ESTIMATES = records.TABLES["estimates"].empty()


def table(harm: float = 0.0, n: int = 4000, seed: int = 0, rows: str = "same") -> pl.DataFrame:
    """Two models, one run each, 90% accurate; the candidate loses `harm` for group b, a quarter of all."""
    rng = np.random.default_rng(seed)
    group, label = rng.choice(["a", "b"], n, p=[0.75, 0.25]), rng.integers(0, 2, n)
    frames = []
    for model in ("current", "candidate"):
        loss = harm * (group == "b") * (model == "candidate")
        right = rng.random(n) < 0.9 - loss
        ids = np.arange(n) + (n if rows == "apart" and model == "candidate" else 0)
        guess = np.where(right, label, 1 - label)
        frames.append(pl.DataFrame({"id": ids, "y": label, "guess": guess, "group": group, "model": model}))
    return pl.concat(frames)


def audited(harm: float = 0.0, **how):
    arguments = {"label": "y", "prediction": "guess", "groups": "group", "method": "model", "reference": "current"}
    return evenhand.audit(table(harm, **how), **arguments, example="id", margins={"default": 0.02})


def family(name: str, p: float, word: str = "worse") -> dict:
    row = {"comparison": "change", "scope": "the methods", "setting": "s", "split": "test", "measure": "accuracy"}
    return {**row, "method": name, "reference": "r", "contrast": 0.1, "low": 0.01, "high": 0.2, "verdict": word,
            "family": name, "p": p, "p_adjusted": p, "runs": 5}  # fmt: skip


def table_of(rows: list[dict]) -> pl.DataFrame:
    """A table of verdicts."""
    columns = dict.fromkeys(records.TABLES["verdicts"].columns)
    return records.from_rows([{**columns, **row} for row in rows], "verdicts")


@pytest.fixture(scope="module")
def harmed():
    return audited(0.4)


@pytest.fixture(scope="module")
def alike():
    return audited()


def answer(results, policy=None, **how):
    return judge(results.verdicts, results.estimates, Policy.parse(policy or {}, "policy.yaml"), **how)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, harmed, alike):
    folder = tmp_path_factory.mktemp("audits")
    harmed.save(folder / "harmed")
    alike.save(folder / "alike")
    return folder


def check(*arguments, **environment):
    """`evenhand check` as a process."""
    import os

    command = [sys.executable, "-m", "evenhand", "check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_a_harm_of_forty_points_in_one_run_each_closes_the_gate(folders):
    ended = check(folders / "harmed")
    assert ended.returncode == 1
    assert "worse: candidate against current, accuracy, group = b (these models): +0.4" in ended.stdout
    assert ended.stdout.rstrip().splitlines()[-1].startswith("failed: ")


def test_a_gate_that_opens_says_what_it_could_not_see(folders):
    ended = check(folders / "alike")
    assert ended.returncode == 0
    assert "a harm of up to 0.0" in ended.stdout
    assert "false alarms are to be expected" in ended.stdout
    assert ended.stdout.endswith("passed\n")


def test_check_writes_nothing_into_the_folder(folders):
    before = {path: path.stat().st_mtime_ns for path in (folders / "alike").iterdir()}
    check(folders / "alike", "--json")
    assert {path: path.stat().st_mtime_ns for path in (folders / "alike").iterdir()} == before


def test_the_answer_as_json_junit_and_summary_of_a_job(folders, tmp_path):
    ended = check(
        folders / "harmed", "--json", "--junit", tmp_path / "gate.xml", GITHUB_STEP_SUMMARY=str(tmp_path / "s.md")
    )
    told = json.loads(ended.stdout)
    assert ended.returncode == 1 and not told["passed"]
    assert {row["group"] for row in told["failed"]} == {None, "b"}
    suite = ElementTree.parse(tmp_path / "gate.xml").getroot()
    assert int(suite.get("failures", "")) == len(suite.findall(".//failure")) == len(told["failed"])
    assert int(suite.get("tests", "")) == sum(told["counts"].values())
    assert (tmp_path / "s.md").read_text().startswith("## Evenhand: table failed")


def test_a_folder_of_an_older_version_is_audited_again_in_memory(tmp_path, harmed):
    """Its verdicts had no comparisons, and one run each decided nothing."""
    harmed.save(tmp_path)
    design = json.loads((tmp_path / "design.json").read_text())
    assert design.pop("audit") == results_folder.AUDIT and design.pop("contents")
    (tmp_path / "design.json").write_text(json.dumps(design))
    older = harmed.verdicts.filter(comparison="change").drop("comparison", "scope", "against", "disparity")
    older = older.with_columns(verdict=pl.lit("inconclusive"))
    older.write_parquet(tmp_path / "verdicts.parquet")
    before = (tmp_path / "verdicts.parquet").read_bytes()
    ended = check(tmp_path)
    assert ended.returncode == 1 and ended.stderr.startswith("evenhand: an older version audited")
    assert (tmp_path / "verdicts.parquet").read_bytes() == before
    assert evenhand.Results.load(tmp_path).verdicts["verdict"].unique().to_list() == ["inconclusive"]
    assert evenhand.Results.load(tmp_path).up_to_date().verdicts.equals(harmed.verdicts)
    evenhand.Results.load(tmp_path).save(tmp_path / "copy")
    assert evenhand.Results.load(tmp_path / "copy").version == 1, "a copy is no new audit"


def test_ids_that_never_match_decide_nothing(tmp_path):
    audited(0.4, rows="apart").save(tmp_path / "apart")
    ended = check(tmp_path / "apart")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1 and "no example id in common" in ended.stderr


def test_a_policy_and_fail_on_together_are_refused(folders, tmp_path):
    (tmp_path / "policy.yaml").write_text("inconclusive: fail\n")
    ended = check(folders / "alike", "--policy", tmp_path / "policy.yaml", "--fail-on", "worse")
    assert ended.returncode == 2 and "not both" in ended.stderr
    assert check(folders / "alike", "--policy", tmp_path / "policy.yaml").returncode == 1
    assert check(folders / "alike", "--policy", tmp_path / "none.yaml").returncode == 2


def test_one_model_has_a_gate():
    only = table(0.4).filter(model="candidate")
    results = evenhand.audit(only, label="y", prediction="guess", groups="group", margins={"default": 0.02})
    assert not results.gate().passed
    assert {finding.row["scope"] for finding in results.gate().failed} == {"this model"}


def test_a_rule_says_which_verdicts_pass(harmed):
    rule = {"measure": "accuracy", "group": "b", "pass": ["worse", "equivalent"]}
    failed = {(each.row["measure"], each.row["group"]) for each in answer(harmed, {"rules": [rule]}).failed}
    assert ("accuracy", "b") not in failed and ("true_positive_rate", "b") in failed


def test_the_first_rule_that_covers_a_row_decides(alike):
    lenient, severe = {"measure": "accuracy"}, {"inconclusive": "fail"}
    measures = {each.row["measure"] for each in answer(alike, {"rules": [lenient, severe]}).failed}
    assert measures and "accuracy" not in measures


def test_a_gap_change_that_is_better_counts_as_inconclusive_under_a_policy():
    gained = table_of([{**family("f", 0.99, "better"), "comparison": "gap change", "against": "rest"}])
    found = judge(gained, NO_ESTIMATES, Policy.parse({"inconclusive": "fail"}, "policy"))
    assert [each.outcome for each in found.failed] == ["inconclusive"]
    assert judge(gained, NO_ESTIMATES, Policy.failing_on(["worse"])).passed


@pytest.mark.parametrize(("bound", "outcome"), [(0.45, "passed"), (0.55, "failed"), (0.5, "inconclusive")])
def test_a_limit_is_held_against_the_interval(harmed, bound, outcome):
    """The candidate is right in half of group b."""
    limit = {"measure": "accuracy", "group": "b", "method": "candidate", "at least": bound}
    (found,) = [each for each in answer(harmed, {"pass": _ALL, "limits": [limit]}).findings if each.limit is not None]
    assert found.outcome == outcome


_ALL = ["worse", "better", "equivalent", "not worse"]


def test_a_waiver_holds_until_its_day(harmed):
    waiver = {"method": "candidate", "reason": "the new data come in May", "until": "2027-05-31"}
    policy = {"waivers": [waiver]}
    assert answer(harmed, policy, today=date(2027, 5, 31)).passed
    assert not answer(harmed, policy, today=date(2027, 6, 1)).passed
    waived = [each for each in answer(harmed, policy, today=date(2027, 1, 1)).findings if each.outcome == "waived"]
    assert waived and waived[0].reason == "the new data come in May (until 2027-05-31)"


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        (
            {"rules": [{"measure": "acuracy"}]},
            'rules.0.measure: there is no measure "acuracy"; did you mean "accuracy"',
        ),
        ({"rules": [{"group": "c"}]}, 'rules.0.group: there is no group "c"'),
        ({"rules": [{"pass": "wrose"}]}, 'no verdict "wrose"'),
        ({"rules": [{"pass": "inconclusive"}]}, "inconclusive: pass"),
        ({"rules": [{"mesure": "accuracy"}]}, "mesure"),
        ({"limits": [{"measure": "accuracy"}]}, "at least"),
        ({"limits": [{"at least": 0.5}]}, "measure"),
        ({"limits": [{"measure": "bleu", "at least": 0.5}]}, "these results have no estimates on bleu"),
        ({"rules": [{"measure": "bleu"}]}, "--measure bleu"),
        ({"waivers": [{"measure": "accuracy", "reason": "why"}]}, "until"),
        ({"waivers": [{"until": "2027-13-01", "reason": "why"}]}, "is no day; write one such as 2027-05-31"),
        ({"waivers": [{"until": 20270531, "reason": "why"}]}, "is no day; write one such as 2027-05-31"),
    ],
)
def test_a_policy_about_nothing_is_refused(harmed, policy, named):
    with pytest.raises(InputError) as refused:
        answer(harmed, policy)
    assert named in str(refused.value)


def test_the_policy_of_the_documentation_is_complete(tmp_path):
    """It names every key, and holds of two models that are alike."""
    page = (Path(__file__).parents[2] / "docs" / "gate.md").read_text()
    (text,) = re.findall(r"```yaml[^\n]*\n(# What passes.*?)```", page, re.DOTALL)
    (tmp_path / "policy.yaml").write_text(text)
    policy = read_policy(tmp_path / "policy.yaml")
    assert policy.rules and policy.limits and policy.waivers
    people = table(n=60000).rename({"group": "sex"})
    people = people.with_columns(sex=pl.col("sex").replace({"a": "Male", "b": "Female"}))
    arguments = {"label": "y", "prediction": "guess", "groups": "sex", "method": "model", "reference": "current"}
    results = evenhand.audit(people, **arguments, example="id", margins={"default": 0.02})
    found = results.gate(policy)
    assert found.passed, found.failed
    assert {each.limit for each in found.findings if each.limit} == set(policy.limits)


@pytest.mark.parametrize(
    "text", ["[", "- worse", "inconclusive: maybe", "\x00", "a: !!python/object:os.x {}", "[" * 3000]
)
def test_a_file_that_is_no_policy_is_refused(tmp_path, text):
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        read_policy(tmp_path / "policy.yaml")
    assert "policy.yaml" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "failing"),
    [([0.04], 1), ([0.04, 0.5], 0), ([0.02, 0.04], 2), ([0.02, 0.04, 0.5], 0), ([0.001, 0.03, 0.5], 1)],
)
def test_a_strict_gate_uses_holm_over_families(values, failing):
    verdicts = table_of(
        [family(f"f{rank}", p, "worse" if p < 0.05 else "inconclusive") for rank, p in enumerate(values)]
    )
    assert len(judge(verdicts, NO_ESTIMATES, Policy(), strict=True).failed) == failing
    assert len(judge(verdicts, NO_ESTIMATES, Policy()).failed) == sum(p < 0.05 for p in values)


def selected(of_b: int, of_a: int = 400, n: int = 1000):
    """One model that selects so many of 1,000 people in either group."""
    rows = [("a", int(index < of_a)) for index in range(n)] + [("b", int(index < of_b)) for index in range(n)]
    frame = pl.DataFrame(rows, schema=["group", "guess"], orient="row").with_columns(y=pl.int_range(2 * n) % 2)
    return evenhand.audit(frame, label="y", prediction="guess", groups="group", against="a")


FOUR_FIFTHS = {"limits": [{"measure": "demographic_parity_ratio", "at least": 0.8}]}


@pytest.mark.parametrize(("of_b", "outcome"), [(240, "failed"), (310, "inconclusive"), (400, "passed")])
def test_the_four_fifths_rule_is_a_limit_on_the_ratio(of_b, outcome):
    (finding,) = [each for each in answer(selected(of_b), FOUR_FIFTHS).findings if each.limit is not None]
    assert finding.outcome == outcome
    assert finding.linear["measure"] == "four_fifths_difference"
    assert finding.linear["value"] == pytest.approx(of_b / 1000 - 0.32)


def test_the_rule_is_tested_by_the_linear_form_and_not_by_the_interval_of_the_ratio():
    """The bound of the linear form that reaches 0 decides, wherever that of the ratio lies."""
    results = selected(300)
    row = pl.col("measure") == "demographic_parity_ratio"
    moved = results.estimates.with_columns(
        low=pl.when(row).then(pl.lit(0.81)).otherwise("low"), high=pl.when(row).then(pl.lit(0.9)).otherwise("high")
    )
    policy = Policy.parse(FOUR_FIFTHS, "policy.yaml")
    (finding,) = [each for each in judge(results.verdicts, moved, policy).findings if each.limit is not None]
    assert finding.outcome == "inconclusive"
    other = {"limits": [{"measure": "demographic_parity_ratio", "at least": 0.81}]}
    policy = Policy.parse(other, "policy.yaml")
    (finding,) = [each for each in judge(results.verdicts, moved, policy).findings if each.limit is not None]
    assert finding.outcome == "passed" and finding.linear is None


def test_a_limit_on_both_sides_needs_both():
    policy = {"limits": [{"measure": "demographic_parity_ratio", "at least": 0.8, "at most": 1.25}]}
    outcomes = {
        of_b: next(each.outcome for each in answer(selected(of_b), policy).findings if each.limit is not None)
        for of_b in (240, 400, 490, 700)
    }
    assert outcomes == {240: "failed", 400: "passed", 490: "inconclusive", 700: "failed"}


def test_the_rule_passes_where_nobody_of_the_other_group_is_selected():
    findings = answer(selected(of_b=200, of_a=0), FOUR_FIFTHS).findings
    (finding,) = [each for each in findings if each.limit is not None]
    assert finding.row["value"] is None and finding.outcome == "passed"


def test_the_answer_names_the_linear_form():
    from evenhand.report.gate_answer import lines

    text = "\n".join(lines(answer(selected(240), FOUR_FIFTHS)))
    assert "outside its limit: demographic parity ratio of group = b against a" in text
    assert re.search(r"0\.600 \[0\.5\d+, 0\.6\d+\], asked at least 0\.8 \(selection rate − 0\.8 × the other’s", text)


def test_measures_without_direction_raise_no_false_alarm_and_hide_differences_of_both_signs():
    frame = table(0.0)
    arguments = {"label": "y", "prediction": "guess", "groups": "group", "method": "model", "reference": "current"}
    results = evenhand.audit(frame, **arguments, example="id", measures=["selection_rate"])
    found = results.gate(Policy(inconclusive="pass"))
    assert found.families == 0
    row = {"setting": "table", "measure": "selection_rate", "low": -0.5, "high": 0.1}
    assert found.possible(row) == 0.5 and found.possible({**row, "measure": "accuracy"}) == 0.1


def test_a_measure_without_direction_in_one_setting_keeps_its_verdicts_in_another(harmed):
    one = evenhand.audit(
        table(0.4), label="y", prediction="guess", groups="group", method="model",
        reference="current", example="id", measures=["selection_rate"], favourable="positive",
    )  # fmt: skip
    (given,) = one.design.settings.values()
    settings = {**one.design.settings, "other": given.model_copy(update={"favourable": None})}
    both = undirected(one.verdicts["measure"], one.design.model_copy(update={"settings": settings}))
    assert both == {("other", "selection_rate")}
    answers = [
        judge(one.verdicts, one.estimates, Policy(inconclusive="pass"), strict=True, undirected=each)
        for each in (frozenset(), both)
    ]
    assert answers[0].families == answers[1].families


@pytest.mark.parametrize("part", ["waivers", "rules"])
def test_a_policy_may_name_subgroups_that_are_no_longer_worse(part):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 600)
    said = np.where(rng.random(600) < 0.9, label, 1 - label)
    people = {name: rng.choice(groups, 600) for name, groups in {"sex": ["f", "m"], "race": ["A", "B"]}.items()}
    frame = pl.DataFrame({"y": label, "said": said, **people})
    searched = evenhand.audit(frame, label="y", prediction="said", groups=["sex", "race"], subgroups={})
    about = {"attribute": "subgroup", "group": "race=B & sex=f"}
    ending = {"until": "2030-12-31", "reason": "known"} if part == "waivers" else {"pass": ["worse"]}
    policy = Policy.parse({"inconclusive": "pass", part: [{**about, **ending}]}, "policy.yaml")
    assert searched.gate(policy).passed
    unknown = Policy.parse({part: [{**about, **ending, "group": "race=C & sex=f"}]}, "policy.yaml")
    with pytest.raises(InputError, match="there is no group"):
        searched.gate(unknown)
    without = evenhand.audit(frame, label="y", prediction="said", groups=["sex", "race"])
    with pytest.raises(InputError, match='there is no attribute "subgroup"'):
        without.gate(policy)


def test_an_empty_list_of_failing_verdicts_is_refused(folders):
    ended = check(folders / "alike", "--fail-on", "")
    assert ended.returncode == 2 and "--fail-on names no verdict" in ended.stderr


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ({"at most": 25}, "limits.0.at most: 25 is outside of what demographic_parity_difference can be, from 0 to 1"),
        ({"at least": 0.9, "at most": 0.8}, "no value is at least 0.9 and at most 0.8"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(harmed, limit, sentence):
    with pytest.raises(InputError, match=sentence):
        answer(harmed, {"limits": [{"measure": "demographic_parity_difference", **limit}]})


def test_a_waiver_that_ended_is_named(harmed):
    waiver = {"method": "candidate", "reason": "the new data come in May", "until": "2027-05-31"}
    ended = answer(harmed, {"waivers": [waiver]}, today=date(2027, 6, 1))
    assert "A waiver ended on 2027-05-31: the new data come in May." in gate_answer.lines(ended)
    assert not answer(harmed, {"waivers": [waiver]}, today=date(2027, 5, 1)).ended


def test_results_in_which_nothing_is_decided_pass_only_where_a_policy_says_so():
    label = [0, 1] * 20
    guess = [1 - each if place % 4 == 0 else each for place, each in enumerate(label)]
    frame = pl.DataFrame({"y": label, "guess": guess, "group": ["a"] * 20 + ["b"] * 20})
    results = evenhand.audit(frame, label="y", prediction="guess", groups="group")
    assert {*results.verdicts["verdict"].drop_nulls()} == {"inconclusive"}
    for policy in (None, Policy.failing_on(["worse"])):
        with pytest.raises(InputError, match="nothing is decided: every row is inconclusive"):
            results.gate(policy)
    assert results.gate(Policy(inconclusive="pass")).passed
    assert not results.gate(Policy(inconclusive="fail")).passed


def test_a_waiver_of_everything_is_refused():
    with pytest.raises(InputError, match=r"waivers\.0: a waiver of everything is no gate; say which rows"):
        Policy.parse({"waivers": [{"reason": "x", "until": "2999-12-31"}]}, "policy.yaml")


def test_a_rule_on_a_comparison_that_a_measure_lacks_says_which_there_are():
    frame = table(0.4).filter(model="candidate")
    results = evenhand.audit(frame, label="y", prediction="guess", groups="group")
    policy = Policy.parse({"rules": [{"measure": "accuracy", "comparison": "change", "pass": ["better"]}]}, "p.yaml")
    with pytest.raises(InputError, match=r"accuracy; comparison change; of accuracy there is comparison gap"):
        results.gate(policy)
