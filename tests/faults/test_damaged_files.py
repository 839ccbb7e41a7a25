"""Weights that were half copied or changed, and clocks that jump: nothing wrong is used, and a run says what it did."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import yaml

from evenhand import Study, records
from evenhand.audit.verification import verify
from evenhand.errors import InputError
from evenhand.models.find import ASSETS
from evenhand.study.watcher import SilentWatcher

pytestmark = [pytest.mark.usefixtures("unreported"), pytest.mark.slow]


class Said(SilentWatcher):
    """Remembers how trials ended."""

    def __init__(self) -> None:
        self.ended = {}

    def finish(self, trial, outcome, seconds) -> None:
        self.ended[trial.method, trial.seed] = (outcome.status, outcome.reason)


def with_more_tests(study):
    return {**study, "evaluate": {"others": {"name": "synthetic/posts", "n": 120, "seed": 9}}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a study that keeps its weights, and the study."""
    study = {
        "task": {"name": "synthetic/posts", "n": 300},
        "model": "tiny-bert",
        "methods": {
            "full": {"kind": "full", "lr": 1e-3, "epochs": 1},
            "lora": {"kind": "lora", "rank": 4, "epochs": 1},
        },
        "reference": "full",
        "seeds": 1,
        "keep": "weights",
    }
    out = tmp_path_factory.mktemp("trained")
    Study(**study).run(out)
    return out, study


@pytest.mark.parametrize("damage", ["truncated", "one bit"])
def test_weights_that_changed_are_not_used(trained, tmp_path, damage):
    whole, study = trained
    out = shutil.copytree(whole, tmp_path / "out")
    assert verify(out).differences == ()
    (weights,) = out.glob("trials/*/adapter/*.safetensors")
    data = bytearray(weights.read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    else:
        data[-7] ^= 4
    weights.write_bytes(data)
    (said,) = verify(out).differences
    assert said == f"{weights.relative_to(out)} is not what was saved"
    watcher = Said()
    Study(**with_more_tests(study)).run(out, watcher=watcher)
    assert watcher.ended["lora", 0] == ("trained", "its weights are not those that were kept")
    assert watcher.ended["full", 0] == ("predicted", None)
    for path in whole.glob("trials/*/predictions.parquet"):
        before, after = (records.read(folder / path.relative_to(whole), "predictions") for folder in (whole, out))
        assert after.filter(after["split"] != "others").equals(before)


def test_a_base_model_that_was_half_copied_is_refused(small_study, tmp_path):
    folder = shutil.copytree(ASSETS / "tiny-bert", tmp_path / "copied")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50_000])
    with pytest.raises(InputError, match="is not a complete safetensors file"):
        Study(**{**small_study, "model": str(folder)}).run(tmp_path / "out")


CLOCK = """
import sys, time
real = time.time
def jumping():
    jumping.calls += 1
    return real() + (-1) ** jumping.calls * 40_000_000
jumping.calls = 0
time.time = jumping
from evenhand.cli import main
sys.argv[0] = "evenhand"
main()
"""


def test_a_clock_that_jumps_by_years_changes_nothing(trained, tmp_path):
    whole, study = trained
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    command = [sys.executable, "-c", CLOCK, "run", str(path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for name in ("estimates", "verdicts"):
        ours, theirs = (records.read(folder / f"{name}.parquet", name) for folder in (whole, tmp_path / "out"))
        assert ours.equals(theirs)
