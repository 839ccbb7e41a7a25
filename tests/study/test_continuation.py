"""A study of fixed seeds is continued by what its undecided verdicts need, and says that it looked before."""

from __future__ import annotations

import polars as pl
import pytest
import yaml

from evenhand import InputError, Results, Study
from evenhand.study.accepted_study import accepted
from evenhand.study.continuation import with_more_seeds
from evenhand.study.plan import make_plan
from evenhand.study.spec import Continuation, StudySpec
from evenhand.study.store import Store
from finished_trials import finish

SEEN = "The study was continued after its verdicts at 3"


@pytest.fixture
def study(small_study) -> Study:
    return Study(**{**small_study, "seeds": 3, "measures": ["accuracy"]})


@pytest.fixture
def folder(study, tmp_path):
    """Results of three seeds, of which some verdicts are inconclusive and have a number of runs."""
    results = finish(Store(tmp_path), make_plan(study, None))
    store = Store(tmp_path)
    with accepted(store, make_plan(study, None)):
        pass
    return tmp_path, results


def needing(folder, runs: int | None):
    """The same folder, with this number of runs needed by each inconclusive verdict."""
    out, results = folder
    needed = pl.when(pl.col("verdict") == "inconclusive").then(pl.lit(runs, pl.Int64)).alias("runs_needed")
    verdicts = results.verdicts.with_columns(needed)
    Results(results.tables.__class__({**results.tables, "verdicts": verdicts}), results.design, {}).save(out)
    return out


def test_the_most_runs_that_a_verdict_needs_are_the_seeds_of_the_study(study, folder):
    heard = []
    found = with_more_seeds(study, needing(folder, 7), heard.append)
    assert found.settings["main"].seeds == tuple(range(7))
    assert found.continued[0].seeds == {"main": 3}
    assert any("likely to be decided with 7 seeds; there are 3" in text for text in heard)


def test_further_test_sets_ask_for_no_seeds(study, folder):
    """Nor do gaps of each method, where there is a reference: both may be undecided for ever."""
    out, results = folder
    undecided = pl.lit("inconclusive").alias("verdict"), pl.lit(30, pl.Int64).alias("runs_needed")
    rows = results.verdicts.with_columns(*undecided)
    of_groups = rows.drop_nulls("group")
    others = (rows.with_columns(split=pl.lit("other")), of_groups.with_columns(comparison=pl.lit("gap")))
    decided = rows.with_columns(verdict=pl.lit("equivalent"))
    verdicts = pl.concat([decided, *others])
    Results(results.tables.__class__({**results.tables, "verdicts": verdicts}), results.design, {}).save(out)
    assert with_more_seeds(study, out, lambda _: None).settings["main"].seeds == (0, 1, 2)
    Results(results.tables.__class__({**results.tables, "verdicts": rows}), results.design, {}).save(out)
    assert len(with_more_seeds(study, out, lambda _: None).settings["main"].seeds) == 30


def test_where_no_number_of_seeds_would_decide_none_is_added(study, folder):
    heard = []
    found = with_more_seeds(study, needing(folder, None), heard.append)
    assert found.settings["main"].seeds == (0, 1, 2) and found.continued == ()
    assert any("would not be decided by up to 40 seeds" in text for text in heard)


def test_seeds_by_name_are_followed_by_the_smallest_others(small_study, tmp_path):
    tuning = {"grid": {"lora": {"lr": [1e-3, 5e-3]}}, "seed": 1}
    split = {"validation": 0.2}
    study = Study(**{**small_study, "seeds": [13, 0, 42], "measures": ["accuracy"], "split": split})
    results = finish(Store(tmp_path), make_plan(study, None))
    tuned = Study(**{**small_study, "seeds": [13, 0, 42], "measures": ["accuracy"], "split": split, "tuning": tuning})
    out = needing((tmp_path, results), 5)
    found = with_more_seeds(tuned, out, lambda text: None)
    assert found.settings["main"].seeds == (13, 0, 42, 2, 3), "the seed of tuning is left out"


def test_a_continued_study_says_so_in_its_file_and_before_all_verdicts(study, folder, tmp_path):
    out = needing(folder, 5)
    found = with_more_seeds(study, out, lambda text: None)
    with accepted(Store(out), make_plan(found, None)) as written:
        assert written.continued == found.continued
    assert yaml.safe_load((out / "study.yaml").read_text())["continued"][0]["seeds"] == {"main": 3}
    design = make_plan(StudySpec(**yaml.safe_load((out / "study.yaml").read_text())), None).design("")
    (warning,) = design.settings["main"].warnings
    assert warning.startswith(SEEN) and "up to 10% of families have a worse verdict" in warning


def test_running_again_without_more_keeps_what_was_continued(study, folder):
    out = needing(folder, 5)
    with accepted(Store(out), make_plan(with_more_seeds(study, out, lambda text: None), None)):
        pass
    with accepted(Store(out), make_plan(study, None)) as written:
        assert [each.seeds for each in written.continued] == [{"main": 3}]
    again = with_more_seeds(study, out, lambda text: None)
    with accepted(Store(out), make_plan(again, None)) as written:
        assert [each.seeds for each in written.continued] == [{"main": 3}], "once, if it was killed and goes on"


def test_a_study_that_was_never_continued_says_nothing(study):
    assert "continued" not in study.to_yaml()
    assert make_plan(study, None).design("").settings["main"].warnings == ()
    both = study.model_copy(update={"continued": (Continuation(date="2026-01-01", seeds={"main": 3}),) * 2})
    assert "up to 15% of families" in make_plan(both, None).design("").settings["main"].warnings[0]


def test_a_study_until_decided_or_without_results_is_refused(study, small_study, tmp_path, folder):
    until = Study(**{**small_study, "seeds": {"until": "decided"}})
    with pytest.raises(InputError, match="a study until decided adds seeds by its planned looks; leave --more out"):
        with_more_seeds(until, folder[0], print)
    with pytest.raises(InputError, match="holds no results"):
        (tmp_path / "empty").mkdir()
        with_more_seeds(study, tmp_path / "empty", print)


@pytest.mark.slow
def test_the_command_trains_what_is_missing_and_warns(small_study, tmp_path, evenhand, unreported):
    path, out = tmp_path / "study.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump({**small_study, "seeds": 2, "measures": ["accuracy"]}))
    refused = evenhand("run", path, "--out", out, "--more")
    assert refused.returncode == 2 and "there is no folder" in refused.stderr
    assert evenhand("run", path, "--out", out).returncode == 0
    before = Results.load(out)
    undecided = before.verdicts.filter(verdict="inconclusive").drop_nulls("runs_needed")
    shown = evenhand("run", path, "--out", out, "--more", "--set", "methods.full.epochs=1")
    assert shown.returncode == 0, shown.stderr
    after = Results.load(out)
    seeds = after.trials["seed"].n_unique()
    if len(undecided):
        assert seeds > 2 and after.design.settings["main"].warnings[0].startswith("The study was continued")
    else:
        assert seeds == 2
