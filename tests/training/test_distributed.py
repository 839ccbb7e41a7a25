"""Two processes train what one does: weights, losses, norms and predictions, with a last batch of one example."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from several_processes import CASES, REFUSED, trained, weights

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "several_processes.py"
WITHIN = {True: {"losses": 1e-6, "weights": 1e-9, "logits": 1e-6}, False: dict.fromkeys(["losses", "logits"], 1e-5)}


def launch(arguments: list[str], processes: int = 2) -> subprocess.CompletedProcess[str]:
    """Start a Python program as torchrun does, on the CPU."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    path = os.pathsep.join([str(SCRIPT.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    known = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([*command, *arguments], env=known, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what each of two processes found in every case."""
    folder = tmp_path_factory.mktemp("found")
    done = launch([str(SCRIPT), str(folder), *CASES, *REFUSED])
    assert done.returncode == 0, done.stderr
    return folder


@lru_cache
def alone(name: str):
    case = CASES[name]
    pack = case.pack()
    return {**trained(pack, case), **weights(pack.module)}


@pytest.mark.parametrize("name", CASES)
def test_two_processes_give_what_one_gives(name, found):
    there, here = np.load(found / f"{name} 0.npz"), alone(name)
    within = WITHIN[CASES[name].double]
    assert set(there) == set(here)
    for key in here:
        kind = "weights" if key.startswith("weight ") else "logits" if key == "logits" else "losses"
        if kind in within:
            np.testing.assert_allclose(there[key], here[key], rtol=0, atol=within[kind], equal_nan=False, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_every_process_has_all_predictions_in_order(name, found):
    main, other = (np.load(found / f"{name} {rank}.npz") for rank in range(2))
    for key in other:
        assert np.array_equal(main[key], other[key]), key


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("batch normalisation", "normalises over a batch"),
        ("pruned, sharded", "lost when it is sharded"),
        ("base dropout", "different masks"),
    ],
)
def test_what_shares_would_change_is_refused(name, said, found):
    assert said in str(np.load(found / f"{name} 0.npz")["refused"])
