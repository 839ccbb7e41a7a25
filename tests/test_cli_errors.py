"""Claims about commands that end early: one sentence, the exit status, and no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

WAIT = """
import sys, time
from evenhand.cli_errors import one_sentence
with one_sentence():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_with_a_sentence_and_its_status(number, status):
    process = subprocess.Popen([sys.executable, "-c", WAIT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, error = process.communicate(timeout=30)
    assert out == "cleaned up\n"
    assert error == "evenhand: interrupted; what is complete is kept, and the same command continues from there\n"
    assert process.returncode == status


def test_signals_are_as_before_after_a_command(evenhand):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert evenhand("list", "tasks").returncode == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
