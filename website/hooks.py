"""What the site has beside the pages in docs/: links into the repository, tables from the registries, a live report.

mkdocs calls the functions `on_…` while it builds. The pages of a checkout need none of this.
"""

from __future__ import annotations

import posixpath
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

REPORT = "sample-report/report.html"
"""The address of the live report in the site."""
LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#:]+)(?P<after>(?:#[^)\s]*)?\))")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
NAMED_AS_FILE = re.compile(r"\[(?P<name>[\w/.-]+\.md)\]\((?P<target>[^)\s#:]+\.md)(?P<anchor>(?:#[^)\s]*)?)\)")
HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
STATISTIC = re.compile(r"^\| (?P<names>`\w+`(?:, `\w+`)*) \|", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the report of a simulated audit, made now."""
    files.append(File.generated(config, REPORT, content=sample_report()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in tables and rewrite links, outside of blocks of code."""
    del files
    for marker, fill in FILLED.items():
        markdown = markdown.replace(f"<!-- {marker} -->", fill() if f"<!-- {marker} -->" in markdown else "")
    return outside_fences(markdown, lambda text: linked(text, page.file.src_uri, str(config.repo_url)))


def outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    """A page with everything changed but its blocks of code."""
    parts, start = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [change(markdown[start : fence.start()]), fence[0]]
        start = fence.end()
    return "".join([*parts, change(markdown[start:])])


def linked(text: str, page: str, repository: str) -> str:
    """A page whose links out of docs/ go to the repository, and which calls other pages by their titles."""
    if page == "api-statistics.md":
        text = STATISTIC.sub(_statistics, text)
    text = NAMED_AS_FILE.sub(lambda link: f"[{_title(link, page)}]({link['target']}{link['anchor']})", text)
    return LINK.sub(lambda link: _to_repository(link, page, repository), text)


def _title(link: re.Match[str], page: str) -> str:
    """The title of the page that a link goes to; on the site a page is not called by its file's name."""
    target = ROOT / "docs" / posixpath.dirname(page) / link["target"]
    title = HEADING.search(target.read_text("utf-8")) if target.is_file() else None
    return title[1] if title else link["name"]


def _to_repository(link: re.Match[str], page: str, repository: str) -> str:
    target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link["target"]))
    if target.startswith("docs/") or not (ROOT / target).exists():
        return link[0]  # of the site, or broken, which mkdocs refuses
    kind = "tree" if (ROOT / target).is_dir() else "blob"
    return f"{link['before']}{repository.rstrip('/')}/{kind}/main/{target}{link['after']}"


def _statistics(row: re.Match[str]) -> str:
    return f"| {re.sub(r'`(?P<name>[A-Za-z_]+)`', _statistic, row['names'])} |"


def _statistic(name: re.Match[str]) -> str:
    own_module = (
        ROOT / "src" / "evenhand" / "stats" / f"{name['name']}.py"
    ).is_file()  # which hides the function's entry
    anchor = f"{name['name']}.{name['name']}" if own_module else name["name"]
    return f"[{name[0]}](api/stats.md#evenhand.stats.{anchor})"


@cache
def sample_report() -> str:
    """The page of an audit of simulated predictions."""
    sys.path.insert(0, str(ROOT / "website"))
    from sample_audit import sample

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        sample().report(page)
        return page.read_text("utf-8")


def measures() -> str:
    """A table of the measures for each kind of records, from the registry."""
    from evenhand.audit.measures import known

    kinds: dict[str, list[str]] = {}
    more_is = {1: "worse", -1: "better", 0: "neither"}
    for name, measure in known().items():
        row = f"| `{name}` | {_cell(measure.summary)} | {more_is[measure.direction]} |"
        kinds.setdefault(measure.kind, []).append(row)
    head = "| measure | what it is | more is |\n|---|---|---|\n"
    return "\n\n".join(f"## Measures of {kind}\n\n{head}" + "\n".join(rows) for kind, rows in kinds.items())


def commands() -> str:
    """A section for each command, with its arguments and options, from the command line itself."""
    return "\n\n".join(_sections())


def _sections() -> Iterator[str]:
    from evenhand.cli import app

    for name, command in typer.main.get_command(app).commands.items():  # pyright: ignore[reportAttributeAccessIssue]
        context = command.make_context(f"evenhand {name}", [], resilient_parsing=True)
        records = [record for record in (option.get_help_record(context) for option in command.params) if record]
        rows = [f"| `{usage}` | {_cell(text)} |" for usage, text in records]
        table = "\n".join(["| argument or option | meaning |", "|---|---|", *rows])
        yield f"## evenhand {name}\n\n{_one_line(command.help or '')}\n\n{table}"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _cell(text: str) -> str:
    return _one_line(text).replace("|", "\\|")


def report() -> str:
    """The live report in a frame, and a link to it alone."""
    return (
        f'<p><a class="md-button md-button--primary" href="{REPORT}">Open the report</a></p>\n'
        f'<iframe class="sample-report" src="{REPORT}" title="A sample report" loading="lazy"></iframe>'
    )


FILLED: dict[str, Callable[[], str]] = {"the measures": measures, "the commands": commands, "the report": report}
