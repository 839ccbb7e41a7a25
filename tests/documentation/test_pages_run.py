"""Every block of README.md and docs/ is run as it is printed, or says why not (`tests/fenced_blocks.py`)."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from evenhand.audit.policy import Policy, read_policy
from evenhand.spec import field_names
from evenhand.study.setting import Setting
from evenhand.study.spec import StudySpec
from evenhand.tasks.generations.prompt_sets import read_prompt_set
from evenhand.tasks.prompts.templates import read_templates
from fenced_blocks import OUTPUT, PAGES, PYTHON, ROOT, SHELL, YAML, Block, Command, blocks, commands_in
from files_of_docs import write_files, write_release

UPDATE = "EVENHAND_UPDATE_DOCS"
"""Set this variable to 1 to write what commands print into the blocks that show it."""

BY_PAGE = {page: blocks(page) for page in PAGES}
RUN = {page: [block for block in found if block.runs] for page, found in BY_PAGE.items()}
QUICK = [page for page, found in RUN.items() if any(not block.says("slow") for block in found)]
SLOW = [page for page, found in RUN.items() if any(block.says("slow") for block in found)]

STUDY_KEYS = {*field_names(StudySpec), *field_names(Setting)}
POLICY_KEYS = {"pass", "inconclusive", "gap_gains", "rules", "limits", "waivers"}
PROMPT_SET_KEYS = {"attribute", "slot", "groups", "templates"}
TEMPLATE_KEYS = {"words", "cloze", "yes_no", "multiple_choice"}
METHODS = {"full": {"kind": "full"}, "lora": {"kind": "lora", "rank": 4}}
BASE = {"task": "synthetic/posts", "model": "tiny-bert", "methods": METHODS}
"""What a part of a study file is tried with."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that pages take as given, beside the real data where these are."""
    work = tmp_path / "checkout"
    work.mkdir()
    write_files(work)
    for beside in ("examples", "website"):
        (work / beside).symlink_to(ROOT / beside)
    if (shared := ROOT.parent / "shared").is_dir():
        (tmp_path / "shared").symlink_to(shared)
    monkeypatch.chdir(work)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return work


class PageRun:
    """Runs blocks of a page one after another: one folder, one namespace of Python."""

    def __init__(self, folder: Path, evenhand: Callable[..., Any]) -> None:
        self.folder, self.evenhand = folder, evenhand
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""

    def block(self, block: Block) -> None:
        if block.language == PYTHON:
            self.python(block)
        elif block.language == YAML:
            read_yaml(block, self.folder)
        else:
            for command in commands_in(block):
                self.printed = self.command(block, command)

    def python(self, block: Block) -> None:
        if not block.doctest:
            exec(compile("\n" * (block.line - 1) + block.text, str(block.page), "exec"), self.names)
            return
        test = doctest.DocTestParser().get_doctest(block.text, self.names, block.where, str(block.page), block.line)
        report: list[str] = []
        doctest.DocTestRunner(verbose=False).run(test, out=report.append, clear_globs=False)
        self.names.update(test.globs)  # the parser copies them
        assert report == [], "".join(report)

    def command(self, block: Block, command: Command) -> str:
        words = [word.replace("DIR", str(self.data())) if "DIR" in word else word for word in command.words]
        if any("../shared/data" in word for word in words):
            self.data()
        if words[0] == "evenhand":
            done = self.evenhand(*words[1:])
        else:
            assert words[0] == "python", (
                f"{block.where}: {words[0]} is not run here; say why on the line before the block"
            )
            done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, timeout=600)
        assert done.returncode in statuses(command), f"{block.where}: {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def data(self) -> Path:
        """The folder of the real data, as seen from the working folder; without it the test is skipped."""
        found = Path("../shared/data")
        if not found.is_dir():
            pytest.skip("the real data are not beside the checkout, in ../shared/data")
        return found


def statuses(command: Command) -> set[int]:
    """The exit statuses that a command may have: that of its comment; a gate may be open or closed."""
    if stated := re.findall(r"\bexit (\d)(?!:)", command.comment):
        return {int(stated[0])}
    return {0, 1} if command.words[:2] == ("evenhand", "check") else {0}


def read_yaml(block: Block, folder: Path) -> None:
    """Read a study, a part of one, a policy, or prompts, as Evenhand does."""
    values = yaml.safe_load(block.text)
    if isinstance(values, dict) and set(values) <= POLICY_KEYS:
        (folder / "read.yaml").write_text(block.text, "utf-8")
        assert isinstance(read_policy(folder / "read.yaml"), Policy)
        return
    if isinstance(values, dict) and set(values) <= TEMPLATE_KEYS:
        (folder / "read.yaml").write_text(block.text, "utf-8")
        assert read_templates(folder / "read.yaml")
        return
    if isinstance(values, dict) and set(values) <= PROMPT_SET_KEYS:
        (folder / "read.yaml").write_text(block.text, "utf-8")
        assert read_prompt_set("read.yaml", folder).templates
        return
    if isinstance(values, dict) and "dataset_path" in values:
        read_benchmark(block, values["task"], folder)
        return
    assert isinstance(values, dict) and set(values) <= STUDY_KEYS, (
        f"{block.where} is no study, no policy and no prompts"
    )
    base = {**BASE, "task": "synthetic/reviews", "model": "tiny-llama"} if "harness" in values else BASE
    methods = values.get("methods", METHODS)
    StudySpec(**{**base, "methods": methods, "reference": next(iter(methods)), **values})


def read_benchmark(block: Block, task: str, folder: Path) -> None:
    """Read a task of lm-evaluation-harness with a document such as its comment shows."""
    pytest.importorskip("lm_eval")
    from evenhand.tasks.harness.loading import load_benchmarks

    (folder / f"{task}.yaml").write_text(block.text, "utf-8")
    document = '{"question": "The capital of Turkey is", "options": ["Ankara", "Paris"], "label": 0}'
    (folder / f"{task}.jsonl").write_text(document + "\n", "utf-8")
    assert len(load_benchmarks((task,), include=folder).tasks[task].eval_docs) == 1


def compare(block: Block, printed: str) -> None:
    """Whether a block shows what the command before it printed, apart from spaces; with `UPDATE`, write it there.

    A line of "…" stands for any lines.
    """
    head, cut, tail = block.text.partition("…\n")
    shown = printed.splitlines()
    first, last = len(head.splitlines()), len(tail.splitlines())
    body = [*shown[:first], "…", *shown[len(shown) - last :]] if cut else shown
    if [line.split() for line in body] == [line.split() for line in block.text.splitlines()]:
        return
    if not os.environ.get(UPDATE):
        raise AssertionError(f"{block.where} shows other lines than these ({UPDATE}=1 writes them there):\n{printed}")
    text = block.page.read_text("utf-8")
    fence, printed = f"<!-- output -->\n```{OUTPUT}\n", "\n".join(line.rstrip() for line in body) + "\n"
    block.page.write_text(text.replace(fence + block.text, fence + printed, 1), "utf-8")


def run_page(page: Path, folder: Path, evenhand: Callable[..., Any], slow: bool) -> None:
    """Run the blocks of a page from top to bottom, with or without the slow ones."""
    for block in BY_PAGE[page]:
        if block.title:
            (folder / block.title).write_text(block.text, "utf-8")
    text = page.read_text("utf-8")
    if "runs/release" in text and "--out runs/release" not in text:
        write_release(folder)
    run, last = PageRun(folder, evenhand), None
    for block in BY_PAGE[page]:
        if block.runs and (slow or not block.says("slow")):
            run.block(block)
            last = block
        elif block.says("output") and last is not None:
            compare(block, run.printed)
        elif block.language == SHELL or block.says("slow"):
            last = None  # what follows shows the output of commands that are not run here


# The longer suite runs the others.
FIRST_READ = ("README.md", "docs/audit.md")


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.always if name_of(page) in FIRST_READ else ()) for page in QUICK],
    ids=map(name_of, QUICK),
)
def test_the_quick_blocks_of_a_page_run_from_top_to_bottom(page, folder, evenhand):
    run_page(page, folder, evenhand, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW, ids=map(name_of, SLOW))
def test_all_blocks_of_a_page_run_from_top_to_bottom(page, folder, evenhand):
    run_page(page, folder, evenhand, slow=True)


@pytest.mark.parametrize("page", PAGES, ids=map(name_of, PAGES))
def test_each_block_is_run_or_says_why_not(page):
    wrong = [
        f"{block.where}: {block.language or 'no language'}"
        for block in BY_PAGE[page]
        if not block.runs and block.language != OUTPUT and not reason(block)
    ]
    assert wrong == []


def reason(block: Block) -> str:
    """Why a block is not run, or by which test; empty where that is not said."""
    if test := re.fullmatch(r"run by (tests/\S+\.py)", block.comment):
        file = ROOT / test[1]
        return test[1] if file.is_file() and block.page.name in file.read_text("utf-8") else ""
    return block.comment.partition("not run: ")[2] if block.says("not run") else ""


@pytest.mark.parametrize("page", PAGES, ids=map(name_of, PAGES))
def test_output_holds_no_commands(page):
    """Commands of a block of output would not be run."""
    starts = r"^\$? ?(evenhand|pip|python|make|accelerate|torchrun) [a-z./-]"
    shown = [block.where for block in BY_PAGE[page] if block.language == OUTPUT and re.search(starts, block.text, re.M)]
    assert shown == []
