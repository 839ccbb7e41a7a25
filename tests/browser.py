"""A real browser for pages of the report: what a page says on its console, asks for, and offers as files."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS = (1440, 768, 390)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Chromium as the machine has it; a test that needs it is skipped where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no browser here: none of " + ", ".join(BROWSERS))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page that is open in the browser, with what it has said and asked for so far."""

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Wait until every chart that is visible has been drawn."""
        self.page.wait_for_function(
            "[...document.querySelectorAll('.chart')].every((chart) =>"
            " chart.closest('details:not([open]), .hidden') || chart.querySelector('svg, .failed'))",
            timeout=60_000,
        )
        self.page.wait_for_timeout(300)

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.page.evaluate(script)

    def choose(self, name: str, value: str) -> None:
        """Narrow the page by one of its choices."""
        self.page.locator(f"form.explore select[name={name}]").select_option(value)
        self.settle()

    def saved(self, button: Any) -> tuple[str, bytes]:
        """The name and the content of the file that a button offers."""
        with self.page.expect_download() as download:
            button.click()
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()

    def saved_rows(self, button: Any) -> list[list[str]]:
        """The rows of the CSV file that a button offers."""
        name, content = self.saved(button)
        assert name.endswith(".csv")
        return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


@contextmanager
def visiting(browser: Any, path: Path, width: int = 1440, scheme: str = "light") -> Iterator[Visit]:
    """Open a file in a browser of a width and a colour scheme."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True)
    visit = Visit(page)
    page.on("console", lambda message: visit.console.append(message.text))
    page.on("pageerror", lambda error: visit.console.append(str(error)))
    page.on("request", lambda request: visit.requests.append(request.url))
    try:
        page.goto(path.as_uri())
        visit.settle()
        yield visit
    finally:
        page.close()


def check_in_every_form(browser: Any, path: Path) -> None:
    """Hold a page to what every page promises: at three widths, light, dark and on paper."""
    from axe_playwright_python.sync_playwright import Axe

    for width in WIDTHS:
        for scheme in ("light", "dark"):
            with visiting(browser, path, width, scheme) as visit:
                assert visit.console == []
                # A blob is a chart or a file that the page made of its own data.
                assert [url for url in visit.requests if not url.startswith("blob:")] == [path.as_uri()]
                assert visit.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
                assert not visit.evaluate("document.querySelector('.chart .failed')")
                if width == WIDTHS[0] or scheme == "light":
                    found = Axe().run(visit.page).response["violations"]
                    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
    with visiting(browser, path) as visit:
        visit.page.emulate_media(media="print")
        assert visit.evaluate("getComputedStyle(document.querySelector('.contents')).display") == "none"
        assert visit.page.pdf().startswith(b"%PDF")
        assert visit.console == []
