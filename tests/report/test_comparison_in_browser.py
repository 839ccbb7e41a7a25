"""The comparison in a real browser: narrow and wide, light and dark, printed, and without a request."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand as eh
from evenhand.report.comparison.comparison import compare_folders
from evenhand.report.comparison.page import html

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.slow
LONG = "a-name-of-a-folder-that-is-far-too-long-for-a-telephone-and-that-nobody-would-type"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of three folders, one of which has a long name."""
    results = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        frame = pl.DataFrame({"id": range(300), "sex": ["female", "male", "female of a long description"] * 100})
        frame = frame.with_columns(y=pl.Series(np.random.default_rng(9).integers(0, 2, 300)))
        right = rng.random(300) < 0.9 - 0.2 * seed * (frame["sex"] == "female").to_numpy()
        frame = frame.with_columns(guess=pl.Series(np.where(right, frame["y"], 1 - frame["y"])))
        columns = {"label": "y", "prediction": "guess", "groups": "sex", "example": "id"}
        results.append(eh.audit(frame, **columns, margins={"default": 0.05}))
    path = tmp_path_factory.mktemp("comparison") / "comparison.html"
    path.write_text(html(compare_folders(["may", "june", LONG], results)), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1440, 768, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_is_accessible_and_asks_for_nothing(written, width, scheme, chromium):
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing scrolls sideways"
    assert page.locator("#changed tbody tr.changed").count() and page.locator("#tested details").count() == 2
    assert axe.Axe().run(page).response["violations"] == []
    assert said == [] and asked == [written.as_uri()]
    page.close()


def test_closed_tables_are_printed_too(written, chromium):
    page = chromium.new_page()
    page.goto(written.as_uri())
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = false")
    cell = page.locator("#verdicts .numbers").first
    height = "element => element.getBoundingClientRect().height"
    assert not cell.is_visible()
    page.emulate_media(media="print")
    assert cell.is_visible() and cell.evaluate(height) > 0
    page.close()
