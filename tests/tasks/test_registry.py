from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

from evenhand.data.hatespeech import HateXplain
from evenhand.errors import InputError
from evenhand.tasks import TASKS, Kind, find_task, parse_task


def test_a_name_with_a_slash_is_looked_up_whole_first():
    assert find_task("synthetic/faces") == (TASKS["synthetic/faces"], None)


def test_what_follows_the_last_slash_is_otherwise_the_target():
    assert find_task("synthetic/faces/age") == (TASKS["synthetic/faces"], "age")


def test_a_target_that_the_task_does_not_have_is_refused():
    with pytest.raises(InputError, match='hatexplain has no targets, so "hatexplain/race" is not a task'):
        parse_task("hatexplain/race")


def test_a_plain_name_is_the_task_with_its_defaults():
    assert parse_task("hatexplain") == ("hatexplain", HateXplain()) == parse_task({"name": "hatexplain"})


@pytest.mark.parametrize("value", [None, 3, {}, {"groups": "domain"}, {"name": 3}])
def test_a_task_without_a_name_is_refused(value):
    with pytest.raises(InputError, match="task should be a name or a mapping with a name"):
        parse_task(value)


@pytest.mark.parametrize(("name", "near"), [("hatexplian", "hatexplain"), ("synthetic/postz", "synthetic/posts")])
def test_a_misspelt_task_gets_the_nearest(name, near):
    with pytest.raises(InputError, match=f'no task "{name}"; did you mean "{near}"'):
        parse_task(name)


def test_every_task_has_a_summary():
    assert all(entry.summary and entry.kind in get_args(Kind) for entry in TASKS.values())


def test_options_are_checked_without_importing_anything_heavy():
    code = (
        "import sys; from evenhand.tasks import parse_task; parse_task('hatexplain'); "
        "parse_task({'name': 'table', 'path': 'x.csv', 'text': 'a', 'label': 'b'}); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'datasets', 'PIL')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
