"""Fixtures of the tests of faults: commands in forks, and a study with its finished folder."""

from __future__ import annotations

import pytest
import yaml

from faults.forked_commands import ForkedCommands


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    forked = ForkedCommands(tmp_path_factory.mktemp("forked"))
    yield forked
    forked.close()


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """The file of a small study whose figures are drawn, too."""
    method = {"alpha": 8, "lr": 5e-3, "epochs": 1}
    values = {
        "task": {"name": "synthetic/posts", "n": 300},
        "model": "tiny-bert",
        "methods": {"full": {"kind": "full", "lr": 1e-3, "epochs": 1}, "lora": {"kind": "lora", "rank": 4, **method}},
        "reference": "full",
        "seeds": 2,
        "margins": {"default": 0.05},
        "train": {"replicas": 1},
    }
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="session")
def finished(commands, study, tmp_path_factory):
    """The folder of a run that nothing stopped, and the seconds that it took."""
    out = tmp_path_factory.mktemp("whole") / "out"
    status, seconds = commands("run", study, "--out", out)
    assert status == 0, commands.stderr
    return out, seconds
