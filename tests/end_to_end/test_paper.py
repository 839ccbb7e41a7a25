"""The paper's studies end to end with tiny models and made-up data, as `evenhand run paper/... --tiny` runs them."""

from __future__ import annotations

import json
from functools import cache

import polars as pl
import pytest
from typer.testing import CliRunner

from browser import check_in_every_form, visiting
from evenhand.audit.results import Results
from evenhand.cli import app
from evenhand.study.presets import list_presets, read_preset

PRESETS = [name for name, _ in list_presets() if name.startswith("paper/fig") or name == "paper/dlab"]
TRANSLATED = ("paper/fig7", "paper/fig9")
ANSWERED = ("paper/fig6", "paper/tableA")
CLASSIFIED = [
    name
    for name in PRESETS
    if read_preset(name).get("figure", {}).get("kind") in ("groups", "calibration", "ranks") and name not in TRANSLATED
]


PAGES = ("paper/fig2", "paper/fig4", "paper/fig6", "paper/fig7")
"""Of one setting, of membership, of prompts, and of translations."""


@pytest.fixture(scope="module")
def ran_small(tmp_path_factory):
    """Run a preset with `--tiny`, once for all tests: what it says, its results and its folder."""

    @cache
    def run(name):
        return _ran_small(name, tmp_path_factory.mktemp(name.rpartition("/")[2]))

    return run


def _ran_small(name, folder):
    """What a preset says and leaves: every trial, and its figure in each format."""
    ran = CliRunner().invoke(app, ["run", name, "--tiny", "--out", str(folder), "--json"])
    assert ran.exit_code == 0, ran.output
    figure = name.rpartition("/")[2]
    assert all((folder / "figures" / f"{figure}.{ending}").stat().st_size > 5000 for ending in ("png", "svg", "pdf"))
    results = Results.load(folder)
    assert set(results.trials["status"]) == {"done"}
    return ran, results, folder


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIED)
def test_a_preset_of_the_paper_ends_in_its_figure(name, ran_small):
    ran, results, folder = ran_small(name)
    assert results.design.figure and (folder / "stand-in").is_dir()
    assert "made-up examples stand in for" in ran.stderr
    accuracy = results.estimates.filter(pl.col("seed").is_null(), pl.col("attribute").is_null(), measure="accuracy")
    base = results.examples.group_by("setting").agg(most=pl.col("label").value_counts(normalize=True).struct[1].max())
    better = accuracy.join(base, on="setting").select(above=pl.col("value") - pl.col("most"))
    assert better["above"].max() > 0.02, "nothing was learned"
    said = json.loads(ran.stdout)["headline"][0]
    if len(results.design.settings) > 1:
        assert said.startswith("Across ") and "consistent" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERED)
def test_a_preset_of_prompts_ends_in_its_figure(name, ran_small):
    _, results, _ = ran_small(name)
    assert len(results.options) and results.predictions.is_empty()
    assert set(results.estimates["split"]) == {"train"}
    trained = results.trials.filter(pl.col("method") != "base")
    assert trained["train_loss"].is_not_null().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSLATED)
def test_a_preset_of_translations_ends_in_its_figure(name, ran_small):
    _, results, _ = ran_small(name)
    assert len(results.responses) and results.predictions.is_empty()
    over = results.estimates.filter(pl.col("seed").is_null(), pl.col("attribute").is_null())
    assert over.filter(measure="none_share")["value"].min() < 0.9, "nobody has learned to write a pronoun"
    shares = (
        over.filter(pl.col("measure").str.ends_with("_share")).group_by("setting", "method").agg(pl.col("value").sum())
    )
    assert shares["value"].to_numpy() == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_the_page_of_a_preset_keeps_its_promises_in_every_form(name, ran_small, chromium):
    _, results, folder = ran_small(name)
    path = folder / "report.html"
    check_in_every_form(chromium, path)
    with visiting(chromium, path) as visit:
        assert visit.page.locator("tr[data-v]").count() == len(results.verdicts)
        # A page of several settings has to be found one's way in.
        visit.page.get_by_role("button", name="Close all").click()
        assert visit.evaluate("document.documentElement.scrollHeight") <= 8000
        visit.page.locator("table.questions a").first.click()
        visit.settle()
        assert visit.page.locator("tr.explained").first.is_visible()
        assert visit.console == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "trials"), [("paper/fig1", 40), ("paper/fig2", 20), ("paper/fig8", 110)])
def test_a_preset_at_full_size_plans_its_trials(name, trials, tmp_path):
    """With the stand-in as the data, and a tiny checkpoint for each base model: nothing else is changed."""
    from evenhand.data.faces.utkface import UTKFace
    from evenhand.data.hatespeech.dlab import DLab
    from evenhand.study.tiny import tiny_of

    for spec in (UTKFace, DLab):
        spec().write_stand_in(tmp_path / str(spec.folder_name))
    values = read_preset(name)
    places = {f"settings.{key}.model": own["model"] for key, own in values["settings"].items() if "model" in own}
    changes = [f"{key}={tiny_of(model)}" for key, model in (places or {"model": values["model"]}).items()]
    given = [part for change in changes for part in ("--set", change)]
    # A rank above what the tiny layers can have is refused, and said.
    planned = CliRunner().invoke(app, ["plan", name, "--data", str(tmp_path), "--no-calibrate", "--json", *given])
    if name == "paper/fig8":
        assert planned.exit_code != 0 and "rank 128 is above 64" in str(planned.exception or planned.output)
        return
    assert planned.exit_code == 0, planned.output
    assert len(json.loads(planned.stdout)["trials"]) == trials
