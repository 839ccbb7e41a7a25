"""Uses of an installed `evenhand` in a folder that is not the checkout, as a user's shell would call it."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path


def call(command: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, without the search path of the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=3600
    )


def write_predictions(path: Path) -> None:
    """Write the predictions of a model that is right for nearly all women and for few men."""
    drawn = random.Random(0)
    rows = ["hired,guess,sex"]
    for sex, right in (("f", 0.95), ("m", 0.6)):
        for _ in range(300):
            hired = drawn.randint(0, 1)
            rows.append(f"{hired},{hired if drawn.random() < right else 1 - hired},{sex}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def assert_a_model_is_audited_and_gated(command: Path, folder: Path) -> None:
    """Assert that an audit of one model writes its page, and that the gate names the group that is served worse."""
    write_predictions(folder / "people.csv")
    columns = ("--label", "hired", "--prediction", "guess", "--group", "sex", "--favourable", "positive")
    audited = call(command, folder, "audit", "people.csv", *columns, "--out", "audit")
    assert (audited.returncode, audited.stderr) == (0, "")
    assert "people.csv" in (folder / "audit" / "report.html").read_text("utf-8")
    checked = call(command, folder, "check", "audit", "--json")
    assert (checked.returncode, checked.stderr) == (1, "")
    failed = {(row["measure"], row["group"], row["verdict"]) for row in json.loads(checked.stdout)["failed"]}
    assert ("accuracy", "m", "worse") in failed
