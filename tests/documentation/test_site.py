"""The site builds without a warning, is complete, and works from a folder without asking another host for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer

import evenhand
from evenhand import metrics, stats
from evenhand.audit.measures import known
from evenhand.cli import app
from fenced_blocks import PAGES, ROOT

LOADED = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"?(?P<address>[^\"\s>]+)", re.IGNORECASE
)
NAMED = re.compile(r"\bid=\"?([^\"\s>]+)")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; warnings are errors."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@cache
def page(path: Path) -> str:
    return path.read_text("utf-8")


def test_every_page_of_the_docs_is_in_the_site(site):
    built = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    docs = [
        path.relative_to(ROOT / "docs").with_suffix(".html") for path in PAGES if path.is_relative_to(ROOT / "docs")
    ]
    assert {str(path.with_name("index.html") if path.stem == "README" else path) for path in docs} - built == set()


def test_every_public_function_and_class_has_an_entry_in_the_api_reference(site):
    entries = {name for path in (site / "api").glob("*.html") for name in NAMED.findall(page(path))}
    missing = [
        f"{module.__name__}.{name}"
        for module in (metrics, stats)
        for name in module.__all__
        if callable(getattr(module, name))
        and not {f"{module.__name__}.{name}", f"{module.__name__}.{name}.{name}"} & entries
    ]
    shown = {text for path in (site / "api").glob("*.html") for text in re.findall(r"evenhand\.(\w+)", page(path))}
    assert missing == [] and set(evenhand.__all__) - shown == set()


def test_docstrings_are_shown_with_their_examples_as_code(site):
    text = page(site / "api" / "stats.html")
    opening = (stats.holm.__doc__ or "").splitlines()[0]
    assert opening and opening in text
    assert text.count("<code") > 200 and "<blockquote" not in text


def _shown(parameter) -> list[str]:
    """The names of an option, or what help calls an argument."""
    return parameter.opts if parameter.param_type_name == "option" else [parameter.metavar or parameter.name]


def test_the_reference_has_every_command_and_option_and_every_measure(site):
    commands = page(site / "reference" / "commands.html")
    for name, command in typer.main.get_command(app).commands.items():  # pyright: ignore[reportAttributeAccessIssue]
        assert f"evenhand {name}" in commands
        shown = [name for parameter in command.params for name in _shown(parameter)]
        assert [name for name in shown if name not in commands] == []
    text = page(site / "reference" / "measures.html")
    assert [name for name in known() if f">{name}<" not in text] == []


def test_the_live_report_is_one_of_this_version_and_the_page_shows_it(site):
    report = page(site / "sample-report" / "report.html")
    assert "simulated hiring" in report and "age = over 50" in report
    assert 'src="sample-report/report.html"' in page(site / "sample-report.html")


def test_links_to_files_of_the_repository_lead_there(site):
    links = re.findall(
        r'href="https://github.com/evenhand/evenhand/(?:blob|tree)/main/([^"#]+)', page(site / "index.html")
    )
    assert "CONTRIBUTING.md" in links and all((ROOT / link).exists() for link in links)


def test_no_page_loads_anything_from_another_host(site):
    loaded = {address for path in site.rglob("*.html") for address in LOADED.findall(page(path))}
    canonical = re.compile(r"https://github\.com/evenhand/evenhand/|https://squidfunk\.github\.io/")
    assert len(loaded) > 10
    assert [address for address in loaded if re.match(r"(https?:)?//", address) and not canonical.match(address)] == []


def test_search_works_from_a_folder_and_no_request_leaves_it(site, chromium):
    tab = chromium.new_page(viewport={"width": 1440, "height": 900})
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((site / "index.html").as_uri())
    tab.click("input[name=query]")
    tab.keyboard.type("four-fifths")
    tab.wait_for_selector(".md-search-result__item a", timeout=20_000)
    found = tab.locator(".md-search-result__item a").first.get_attribute("href")
    assert found is not None and found.startswith(site.as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_main_pages_do_not_scroll_sideways_and_say_nothing_in_the_console(site, chromium, width, scheme):
    tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    for name in (
        "index",
        "tutorials/one-model",
        "tutorials/verdicts",
        "audit",
        "statistics-derivations",
        "reference/commands",
    ):
        tab.goto((site / f"{name}.html").as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
        assert tab.evaluate("document.body.getAttribute('data-md-color-scheme')") == (
            "slate" if scheme == "dark" else "default"
        )
    assert said == []
