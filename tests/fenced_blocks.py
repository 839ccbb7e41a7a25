"""The fenced blocks of README.md and docs/: where they stand, what they hold, and why one is not run.

A comment on the line before a block says what differs from running it in `make test`:

    <!-- not run: REASON -->        it is not run; its commands are parsed all the same
    <!-- slow: REASON -->           it is run in the slow tests only
    <!-- run by tests/FILE.py -->   another test runs it
    <!-- output -->                 it is what the commands before it print; a line of "…" stands for any lines

A block with a title (`yaml title="study.yaml"`) is a file that the commands after it find in their folder.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(
    r"^(?:<!-- (?P<comment>[^\n]*) -->\n)?(?P<open>```+)(?P<language>[\w-]*)(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=open)$",
    re.MULTILINE | re.DOTALL,
)
TITLE = re.compile(r'title="([^"]+)"')
PROMPT = re.compile(r"^>>> ", re.MULTILINE)
SHELL, PYTHON, YAML, OUTPUT = "sh", "python", "yaml", "text"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: the page's file.
        line: the number of the line after the opening fence.
        comment: what the HTML comment on the line before says; empty without one.
        language, title, text: of the block.
        start, end: where the text stands in the page.
    """

    page: Path
    line: int
    comment: str
    language: str
    title: str
    text: str
    start: int
    end: int

    @property
    def where(self) -> str:
        """The page and the line, as editors read them."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def says(self, word: str) -> bool:
        """Whether the comment before the block begins with a word."""
        return self.comment == word or self.comment.startswith((f"{word} ", f"{word}:"))

    @property
    def runs(self) -> bool:
        """Whether this page's test runs the block."""
        return self.language in (SHELL, PYTHON, YAML) and not self.says("not run") and not self.says("run by")

    @property
    def doctest(self) -> bool:
        """Whether a block of Python has prompts and results."""
        return bool(PROMPT.search(self.text))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, found.start("text")) + 1,
            found["comment"] or "",
            found["language"],
            title[1] if (title := TITLE.search(found["info"])) else "",
            found["text"],
            *found.span("text"),
        )
        for found in FENCE.finditer(text)
    ]


@dataclass(frozen=True)
class Command:
    """A command of a shell block: its words, and the comment behind it."""

    words: tuple[str, ...]
    comment: str

    @property
    def evenhand(self) -> tuple[str, ...] | None:
        """The arguments of `evenhand`, also where a launcher starts it; None for other commands."""
        if self.words[0] == "evenhand":
            return self.words[1:]
        started = [
            place for place in range(1, len(self.words)) if self.words[place - 1 : place + 1] == ("-m", "evenhand")
        ]
        return self.words[started[0] + 1 :] if started else None


def commands(text: str) -> list[Command]:
    """The commands of a shell script without control flow; a backslash continues a line."""
    found = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.commenters = True, "#"
        if words := tuple(lexer):
            comment = line.rpartition(" # ")[2] if " # " in line else ""
            found.append(Command(words, comment.strip()))
    return found


def commands_in(block: Block) -> list[Command]:
    """The commands that a block holds: those of a script, or those that a file of another system names."""
    if block.language == SHELL:
        return commands(block.text)
    if block.language == YAML:
        named = re.findall(r"^[\s-]*(?:run|entrypoint|setup): (.+)$", block.text, re.MULTILINE)
        return [command for line in named for command in commands(line)]
    return []


def inline_commands(page: Path) -> Iterator[tuple[str, ...]]:
    """The words of commands in running text: `evenhand check --strict`."""
    text = FENCE.sub("", page.read_text("utf-8"))
    for found in re.findall(r"`evenhand ([^`]+)`", text):
        yield tuple(re.sub(r"\s+", " ", found).split())
