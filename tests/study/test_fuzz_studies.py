"""Random study files: each is a study or one sentence, and a study that is accepted has a plan or one sentence.

A full fuzz (`make fuzz`) reads 100,000 files and plans 2,000 of them; other suites a hundredth of that.
"""

from __future__ import annotations

import numpy as np
import pytest
import random_studies
from hypothesis import given, settings
from hypothesis import strategies as st

from evenhand.errors import InputError
from evenhand.study.plan import make_plan
from evenhand.study.spec import StudySpec
from evenhand.study.study_file import read_study_file

SHARE = (settings().max_examples / 1000) ** 2
"""Of a full fuzz, from the profile's number of examples."""
SEEDS = st.integers(0, 2**63 - 1)
SOURCES = random_studies.sources()

SMALL = {
    "task": {"name": "synthetic/posts", "n": 120, "seed": 3},
    "model": "tiny-bert",
    "methods": {
        "full": {"kind": "full", "lr": 1e-3, "epochs": 1, "data": {"noise": {"topic=food": 0.1}}},
        "lora": {
            "kind": "lora",
            "rank": 4,
            "alpha": 8,
            "dropout": 0.1,
            "lr": 5e-3,
            "epochs": 1,
            "train": {"warmup": 0},
        },
        "head": {"kind": "head", "lr": 1e-2, "epochs": 1},
    },
    "reference": "full",
    "seeds": [0, 1],
    "margins": {"default": 0.05},
    "measures": ["accuracy", "calibration_error_squared"],
    "split": {"test": 0.3, "validation": 0.2, "vary": True},
    "limit": {"train": 50},
    "train": {"batch_size": 16, "accumulate": 1, "schedule": "cosine"},
    "tuning": {"grid": {"lora": {"lr": [1e-3, 5e-3]}}, "seed": 9},
    "favourable": "positive",
    "against": ["topic=food"],
    "comparison": "gap",
    "keep": "none",
}


def one_sentence(error: InputError) -> None:
    text = str(error)
    assert text.strip() and "\n" not in text and len(text) <= 300, text


@pytest.mark.fuzz
@settings(max_examples=max(round(100_000 * SHARE), 20))
@given(SEEDS)
def test_a_random_study_file_is_a_study_or_one_sentence(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    study = random_studies.mutated(rng, SOURCES[rng.integers(len(SOURCES))], int(rng.integers(0, 4)))
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    text = random_studies.as_text(rng, study, int(rng.integers(0, 3)) * int(rng.integers(0, 2)))
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        spec = StudySpec(**read_study_file(path))
    except InputError as error:
        one_sentence(error)
        return
    if rng.random() < 0.1:
        assert StudySpec(**random_studies.yaml.safe_load(spec.to_yaml())) == spec


@pytest.mark.fuzz
@settings(max_examples=max(round(2_000 * SHARE), 20))
@given(SEEDS)
def test_a_random_study_has_a_plan_or_one_sentence(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        values = random_studies.mutated(rng, SMALL, int(rng.integers(1, 4)))
        try:
            spec = StudySpec(**{str(key): value for key, value in values.items()})
        except InputError as error:
            one_sentence(error)
            continue
        setting = next(iter(spec.settings.values()))
        if setting.task.get("n", 0) <= 1000 and len(setting.seeds) <= 50 and setting.model == "tiny-bert":
            break
    else:
        return
    try:
        plan = make_plan(spec, None)
    except InputError as error:
        one_sentence(error)
        return
    assert plan.trials or plan.candidates
