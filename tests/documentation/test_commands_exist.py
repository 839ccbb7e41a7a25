"""Every command in README.md and docs/ is one that the tools know, whether it is run or not."""

from __future__ import annotations

import re
import tomllib

import pytest
import typer

from evenhand.cli import app
from evenhand.cli_values import study_of
from evenhand.study.presets import list_presets
from fenced_blocks import PAGES, ROOT, Block, Command, blocks, commands_in, inline_commands

COMMANDS = [(block, command) for page in PAGES for block in blocks(page) for command in commands_in(block)]
EVENHAND = [(block, words) for block, command in COMMANDS if (words := command.evenhand) is not None]
GROUP = typer.main.get_command(app)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def parsed(words: tuple[str, ...]) -> dict[str, object]:
    """The values of a command's arguments and options; raises what the command line would."""
    name, *rest = words
    return GROUP.commands[name].make_context(name, list(rest)).params  # pyright: ignore[reportAttributeAccessIssue]


def labelled(pairs: list[tuple[Block, tuple[str, ...]]]) -> list[str]:
    return [f"{block.where} {words[0]}" for block, words in pairs]


def test_there_are_many_commands():
    assert len(EVENHAND) > 40


@pytest.mark.parametrize(("block", "words"), EVENHAND, ids=labelled(EVENHAND))
def test_a_command_is_understood_by_the_command_line(block, words):
    assert parsed(words)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_commands_in_running_text_have_known_names_and_options(page):
    for name, *rest in inline_commands(page):
        if not re.fullmatch(r"[a-z]+", name):
            continue
        assert name in GROUP.commands, f"{page.name}: evenhand {name}"  # pyright: ignore[reportAttributeAccessIssue]
        known = {
            option
            for parameter in GROUP.commands[name].params
            for option in [*parameter.opts, *parameter.secondary_opts]
        }
        assert {word for word in rest if word.startswith("--")} <= known, (
            f"{page.name}: evenhand {name} {' '.join(rest)}"
        )


def studies() -> dict[str, tuple[str, ...]]:
    """The study files of the repository and the presets that commands name, with the first such command."""
    presets = {name for name, _ in list_presets()}
    named = {}
    for _, words in EVENHAND:
        if words[0] in ("run", "plan") and (words[1] in presets or (ROOT / words[1]).is_file()):
            named.setdefault(words[1], words)
    return named


@pytest.mark.parametrize("words", studies().values(), ids=studies())
def test_a_study_that_a_command_names_can_be_read(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    values = parsed(words)
    spec, *_ = study_of(str(values["study"]), list(values["changes"] or []), False, None, None)  # pyright: ignore
    assert spec.settings


def of(program: str) -> list[tuple[Block, Command]]:
    return [(block, command) for block, command in COMMANDS if command.words[0] == program]


def test_targets_of_make_are_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert [(block.where, command.words) for block, command in of("make") if command.words[1] not in targets] == []


def test_extras_that_pip_is_asked_for_are_in_the_project():
    extras = set(PROJECT["optional-dependencies"])
    asked = {
        name
        for _, command in of("pip")
        for names in re.findall(r"\[([a-z,]+)\]", " ".join(command.words))
        for name in names.split(",")
    }
    assert asked and asked <= extras


def test_scripts_that_are_run_are_in_the_repository_or_on_the_page():
    titles = {(block.page, block.title) for page in PAGES for block in blocks(page)}
    missing = [
        f"{block.where}: {command.words[1]}"
        for block, command in of("python")
        if command.words[1].endswith(".py")
        and not (ROOT / command.words[1]).is_file()
        and (block.page, command.words[1]) not in titles
    ]
    assert missing == []
