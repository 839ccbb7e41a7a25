"""The page in a real browser: it follows the study, keeps what is being read, and asks nobody but its server."""

from __future__ import annotations

import threading

import pytest

from evenhand.viewing.server import ViewServer
from finished_trials import finish, leave_trials

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.slow
PATIENCE = 120_000
"""Milliseconds to wait for what a busy machine computes."""


@pytest.fixture
def server(begun):
    store, _ = begun
    with ViewServer(store.out) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture(params=[1440, 390])
def page(request, chromium):
    """A page of a browser, with what it said, asked for, and failed at."""
    page = chromium.new_page(viewport={"width": request.param, "height": 844})
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda asked: page.asked.append(asked.url))
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()


def test_the_page_follows_a_study_to_its_end(begun, server, page):
    store, plan = begun
    leave_trials(store, plan.distinct[:2])
    page.goto(server.url)
    page.get_by_text("Of 4 trials: 2 done, 0 running, 0 failed, 2 missing").wait_for()
    page.get_by_text("Preliminary: 2 of 4 trials. Verdicts may change").first.wait_for()
    frame = page.frame_locator("#report")
    frame.get_by_role("heading", name="a study (preliminary: 2 of 4 trials)").wait_for()
    frame.locator("svg").first.wait_for()  # the report's own scripts run in its frame
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing scrolls sideways"
    page.get_by_text("Trials and losses").click()
    assert axe.Axe().run(page).response["violations"] == []
    assert page.locator("#finished tbody tr").count() == 2

    frame.locator("h1").first.click()  # somebody reads
    leave_trials(store, plan.distinct[2:3])
    newer = page.get_by_role("button", name="Show the newer report (3 of 4 trials)")
    newer.wait_for()
    assert frame.get_by_role("heading", name="a study (preliminary: 2 of 4 trials)").count() == 1, "is not taken away"
    newer.click()
    frame.get_by_role("heading", name="a study (preliminary: 3 of 4 trials)").wait_for()

    finish(store, plan).report(store.out / "report.html")
    page.locator("h1").click()
    page.evaluate("document.activeElement.blur()")
    page.get_by_text("Finished.").wait_for()
    page.locator("#marked").wait_for(state="hidden")
    frame.locator("h1").filter(has_not_text="preliminary").wait_for()
    assert page.said == [] and all(url.startswith(server.url.partition("?")[0]) for url in page.asked)
