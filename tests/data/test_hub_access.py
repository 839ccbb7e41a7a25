"""A hub that does not answer is asked once, not for half a minute for each file."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from evenhand.data.hub_access import hub_or_cache

NOBODY = "http://127.0.0.1:9"  # the discard port, at which nothing listens

ASKED_TWICE = """
from evenhand.data.hub_access import hub_or_cache
from evenhand.data.table_source import read_table
from evenhand.errors import UnavailableError
from evenhand.models.find import find_model
from huggingface_hub import constants
for ask in (lambda: find_model("org/name"), lambda: read_table("hub:org/rows", None, None, None)):
    try:
        ask()
    except UnavailableError as error:
        print(error)
assert not constants.HF_HUB_OFFLINE, "it may answer the next process"
"""


@pytest.mark.slow
def test_models_and_data_of_a_hub_that_does_not_answer_are_refused_at_once(tmp_path):
    environment = {"HF_ENDPOINT": NOBODY, "HF_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    started = time.monotonic()
    ran = subprocess.run([sys.executable, "-c", ASKED_TWICE], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    model, data = ran.stdout.splitlines()
    assert model.startswith('"org/name" is not a local folder and the hub cannot be reached (')
    assert data.startswith('task table: "hub:org/rows" is not a file, and the hub cannot be reached (')
    assert "Retry" not in ran.stderr and time.monotonic() - started < 20


def test_offline_is_said_as_it_was_asked_for():
    with hub_or_cache() as why:
        assert why == "HF_HUB_OFFLINE is set"
