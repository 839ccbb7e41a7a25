"""The benchmark for GPUs takes its steps with tiny models on a CPU, so that it is ready when a GPU is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GPU = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_the_benchmark_for_gpus_passes_all_its_checks_with_tiny_models():
    pytest.importorskip("bitsandbytes")
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, GPU, "--tiny"], env=threads, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    passed = [line.split(" passed")[0].strip() for line in ended.stdout.splitlines() if " passed in " in line]
    assert passed == [
        *("records", "bfloat16", "4 bits", "1B lora", "1B full"),
        *("replicas", "fsdp2", "7B lora", "7B qlora"),
    ]


def test_the_benchmark_for_gpus_needs_one():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    ended = subprocess.run([sys.executable, GPU], capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and "there is no GPU; --tiny takes the same steps on a CPU" in ended.stderr
