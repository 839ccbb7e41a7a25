"""Claims about what readers do with the page, in a real browser: narrow, search, sort, explain, save, print."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import evenhand as eh
from browser import check_in_every_form, visiting
from evenhand.report import page, theme
from evenhand.report.number_text import interval, number

pytestmark = pytest.mark.slow

ATTACK = "<script>alert(1)</script>"
SHOWN = "table.verdicts tbody:not(.hidden) tr[data-v]:not(.hidden)"


@pytest.fixture(scope="module")
def several(simulate):
    """Two settings, three methods, two attributes."""
    return simulate(
        methods=("full", "lora", "head"),
        settings=("faces", "posts"),
        groups=(("shape", ("circle", "square", "triangle")), ("hue", ("red", "blue"))),
        n=400,
        seeds=3,
    )


@pytest.fixture
def written(tmp_path):
    """Write a page and say where."""

    def write(results):
        path = tmp_path / "report.html"
        path.write_text(page.html(results), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("design", ["small", "several", "one model", "several classes"])
def test_a_page_keeps_its_promises_in_every_form(design, request, simulate, written, chromium):
    results = {
        "one model": lambda: simulate(methods=("model",), references=(), margins=(), seeds=1),
        "several classes": lambda: simulate(methods=("full", "lora"), classes=4, seeds=3, n=800),
    }.get(design, lambda: request.getfixturevalue(design))()
    check_in_every_form(chromium, written(results))


def test_the_page_of_an_audit_of_real_people_keeps_its_promises(shared_data, tmp_path, chromium):
    people = pl.read_csv(shared_data / "adult" / "adult.data", truncate_ragged_lines=True).head(6000)
    people = people.rename(str.strip).select(pl.col("race", "sex", "Y").str.strip_chars())
    people = people.select("race", "sex", income=pl.col("Y") == ">50K")
    rng = np.random.default_rng(0)
    right = rng.random(6000) < np.where(people["sex"] == "Female", 0.8, 0.9)
    people = people.with_columns(guess=pl.Series(np.where(right, people["income"], ~people["income"])))
    results = eh.audit(people, label="income", prediction="guess", groups=["sex", "race"], source="Adult")
    results.report(tmp_path / "report.html")
    check_in_every_form(chromium, tmp_path / "report.html")


def test_the_page_of_two_fixed_models_keeps_its_promises(tmp_path, chromium):
    rng = np.random.default_rng(1)
    label, sex = rng.integers(0, 2, 800), rng.choice(["f", "m"], 800)
    right = {"current": rng.random(800) < 0.85, "candidate": rng.random(800) < np.where(sex == "f", 0.6, 0.85)}
    rows = pl.concat(
        pl.DataFrame(
            {"id": range(800), "y": label, "guess": np.where(hit, label, 1 - label), "sex": sex, "model": name}
        )
        for name, hit in right.items()
    )
    asked = {"label": "y", "prediction": "guess", "groups": "sex", "method": "model", "example": "id"}
    results = eh.audit(rows, **asked, reference="current", margins={"default": 0.02})
    results.report(tmp_path / "report.html")
    check_in_every_form(chromium, tmp_path / "report.html")
    with visiting(chromium, tmp_path / "report.html") as visit:
        assert (
            visit.page.locator(".headline p").first.inner_text().startswith("candidate is less accurate than current")
        )
        assert visit.page.locator("table.questions b.worse").first.is_visible()


def test_a_request_that_a_page_would_make_is_seen(small, tmp_path, chromium):
    # Otherwise a silent console would prove nothing.
    path = tmp_path / "report.html"
    text = page.html(small).replace("</main>", '<img src="http://evenhand.invalid/x.png"></main>')
    path.write_text(text, encoding="utf-8")
    with visiting(chromium, path) as visit:
        assert any("evenhand.invalid" in line for line in visit.console)


def test_names_run_no_script_and_formulas_stay_text(simulate, written, chromium):
    results = simulate(methods=("full", ATTACK), groups=(("shape", ("=1+1", "@sum", "-2", ATTACK)),), seeds=3, n=400)
    with visiting(chromium, written(results)) as visit:
        assert visit.console == []
        assert not visit.evaluate("document.querySelector('.chart .failed')")
        visit.page.get_by_role("button", name="Open all").click()
        rows = visit.saved_rows(visit.page.locator("#sizes details.tight .take button").first)
        assert [row[0] for row in rows] == ["shape", "-2", ATTACK, "'=1+1", "'@sum"]


def test_a_choice_narrows_tables_and_charts_alike(several, written, chromium):
    with visiting(chromium, written(several)) as visit:
        before = visit.page.locator(SHOWN).count()
        visit.choose("group", "square")
        visit.choose("measure", "accuracy")
        visit.choose("method", "lora")
        groups = visit.evaluate(f"[...document.querySelectorAll({SHOWN!r})].map((row) => row.dataset.group ?? '')")
        assert set(groups) == {"square", ""}
        tables = visit.evaluate(
            "[...document.querySelectorAll('details.table:not(.hidden)')].map((t) => t.dataset.method)"
        )
        assert set(tables) == {"lora"}
        figure = visit.page.locator("#accuracy figure:not(.hidden)").first
        rows = visit.saved_rows(figure.locator(".take button").nth(2))
        assert {row[1] for row in rows[1:]} == {"lora"}
        assert {row[0].split(" (")[0] for row in rows[1:]} == {"everyone", "square"}
        others = "figure[data-measure]:not(.hidden):not([data-measure=accuracy])"
        assert visit.page.locator(others).count() == 0
        visit.page.get_by_role("button", name="Reset").click()
        assert visit.page.locator(SHOWN).count() == before
        assert visit.console == []


def test_rows_are_found_by_their_verdict_and_by_a_word(several, written, chromium):
    with visiting(chromium, written(several)) as visit:
        visit.choose("verdict", "worse")
        assert visit.page.locator(SHOWN).count() == len(several.verdicts.filter(verdict="worse"))
        assert (
            f"{len(several.verdicts.filter(verdict='worse'))} verdicts shown"
            in visit.page.locator("output").inner_text()
        )
        visit.choose("verdict", "")
        visit.page.get_by_role("searchbox").fill("hue = red")
        visit.page.wait_for_timeout(600)
        texts = visit.evaluate(f"[...document.querySelectorAll({SHOWN!r})].map((row) => row.cells[0].textContent)")
        assert texts and all(text.startswith("hue = red") for text in texts)


def test_the_csv_file_of_a_table_has_the_numbers_of_the_verdicts(several, written, chromium):
    with visiting(chromium, written(several)) as visit:
        table = visit.page.locator("details.table[data-setting=posts][data-method=head]")
        table.locator("summary").first.click()
        head, *rows = visit.saved_rows(table.locator(".take button").first)
    verdicts = several.verdicts.filter(setting="posts", method="head", reference="full")
    assert len(rows) == len(verdicts)
    accuracy = [dict(zip(head, row, strict=True)) for row in rows if row[head.index("measure")] == "accuracy"]
    wanted = verdicts.filter(measure="accuracy", comparison="change")
    for row, verdict in zip(accuracy, wanted.iter_rows(named=True), strict=True):
        assert row["worse by"].replace("-", "−") == number(verdict["contrast"], 3, signed=True)
        assert row["90% interval"].replace("-", "−") == interval(verdict["low"], verdict["high"], 3, signed=True)
        assert (row["setting"], row["verdict"]) == ("posts", verdict["verdict"])
        assert "two-way clustered" in row["notes"]


def test_a_verdict_is_explained_by_its_runs(small, written, chromium):
    harmed = small.verdicts.filter(measure="accuracy", comparison="change", group="circle").row(0, named=True)
    runs = small.estimates.filter(pl.col("comparison").is_null(), measure="accuracy", group="circle").drop_nulls("seed")
    with visiting(chromium, written(small)) as visit:
        row = visit.page.locator("tbody[data-measure=accuracy][data-comparison=change] tr[data-group=circle]").first
        row.locator("button.why").focus()
        visit.page.keyboard.press("Enter")
        visit.settle()
        told = visit.page.locator("tr.explained").inner_text()
        assert told.startswith("Worse: the whole interval lies above 0")
        for value in (harmed["contrast"], harmed["low"], harmed["high"]):
            assert f"{number(100 * value, 1, signed=True)} points" in told
        for method in ("full", "lora"):
            mean = small.estimates.filter(
                pl.col("comparison").is_null(),
                pl.col("seed").is_null(),
                measure="accuracy",
                group="circle",
                method=method,
            )
            assert f"accuracy, shape = circle: {number(mean['value'][0], 3)}" in told
        series = visit.evaluate("JSON.parse(document.getElementById('data').textContent).series")
        shown = {tuple(each["v"]) for each in series if "v" in each}
        for method in ("full", "lora"):
            values = runs.filter(method=method).sort("seed")["value"]
            assert tuple(float(f"{value:.3g}") for value in values) in shown
        assert visit.page.locator("tr.explained svg").count() == 1
        text = "document.querySelector('tr.explained svg text').getAttribute('fill')"
        assert visit.evaluate(text) == theme.INK
        visit.page.get_by_role("button", name="Light or dark").click()
        visit.settle()
        assert visit.evaluate(text) == theme.DARK[theme.INK]
        row.locator("button.why").press("Enter")
        assert visit.page.locator("tr.explained").count() == 0
        assert visit.console == []


def test_a_link_to_a_verdict_opens_it(several, written, chromium):
    path = written(several)
    with visiting(chromium, path) as visit:
        last = visit.evaluate("[...document.querySelectorAll('tr[data-v][data-group]')].at(-1).id")
        visit.page.goto(f"{path.as_uri()}#{last}")
        visit.settle()
        row = visit.page.locator(f"#{last}")
        assert row.is_visible()
        assert visit.page.locator(f"#{last} + tr.explained").is_visible()
        top = row.evaluate("(element) => element.getBoundingClientRect().top")
        bar = visit.page.locator("form.explore").evaluate("(element) => element.getBoundingClientRect().bottom")
        assert top >= bar - 1, "the row lies under the bar"
        assert visit.page.locator(f"#{last} + tr.explained svg").count() >= 1
        assert visit.console == []


def test_tables_are_sorted_within_their_measure_by_any_column(small, written, chromium):
    with visiting(chromium, written(small)) as visit:
        button = visit.page.locator("table.verdicts thead button", has_text="worse by").first
        button.click()
        cells = visit.evaluate(
            "[...document.querySelectorAll('table.verdicts tbody')].map((body) =>"
            " [...body.querySelectorAll('tr[data-v]')].map((row) => row.cells[2].textContent))"
        )
        values = [[float(cell.replace("−", "-")) for cell in part if cell != "—"] for part in cells]
        assert all(part == sorted(part) for part in values)
        assert sum(map(len, values)) == len(small.verdicts.drop_nulls("contrast"))
        assert visit.evaluate("document.querySelector('table.verdicts th[aria-sort]').textContent") == "worse by"


def test_a_chart_is_saved_as_a_picture(small, written, chromium):
    with visiting(chromium, written(small)) as visit:
        buttons = visit.page.locator("#accuracy figure .take button")
        name, svg = visit.saved(buttons.nth(0))
        assert name.endswith(".svg") and svg.startswith(b"<svg")
        name, png = visit.saved(buttons.nth(1))
        assert name.endswith(".png") and png.startswith(b"\x89PNG")


def test_the_page_is_dark_where_readers_prefer_that_and_light_on_paper(small, written, chromium):
    colour = "getComputedStyle(document.body).backgroundColor"
    drawn = "document.querySelector('#accuracy svg text').getAttribute('fill')"
    with visiting(chromium, written(small), scheme="dark") as visit:
        dark = visit.evaluate(colour), visit.evaluate(drawn)
        visit.page.get_by_role("button", name="Light or dark").click()
        visit.settle()
        light = visit.evaluate(colour), visit.evaluate(drawn)
        assert light == ("rgb(255, 255, 255)", theme.INK) and dark == ("rgb(20, 23, 28)", theme.DARK[theme.INK])
        visit.page.get_by_role("button", name="Light or dark").click()
        visit.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        visit.settle()
        assert (visit.evaluate(colour), visit.evaluate(drawn)) == light


def test_the_contents_of_a_narrow_page_open_and_close_by_keyboard(small, written, chromium):
    with visiting(chromium, written(small), width=390) as visit:
        menu, links = visit.page.get_by_role("button", name="Contents"), visit.page.locator("#contents")
        assert not links.is_visible()
        menu.focus()
        visit.page.keyboard.press("Enter")
        assert links.is_visible() and menu.get_attribute("aria-expanded") == "true"
        visit.page.keyboard.press("Escape")
        assert not links.is_visible()


def test_the_first_stop_of_the_keyboard_skips_to_the_verdicts(small, written, chromium):
    with visiting(chromium, written(small)) as visit:
        visit.page.keyboard.press("Tab")
        assert visit.evaluate("document.activeElement.hash") == "#verdicts"


def test_a_page_without_groups_and_verdicts_is_no_error(simulate, written, chromium):
    results = simulate(methods=("model",), references=(), margins=(), groups=())
    with visiting(chromium, written(replace(results, provenance={}))) as visit:
        assert visit.console == []
