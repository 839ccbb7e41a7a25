"""Golden records: what four small trials answered when they were last recorded.

When this fails because a trial's logits moved, numbers of training changed: raise `RECIPE` in `training/recipe.py`, so
that trials of before and after are not taken for the same, and record anew:

    python tests/training/test_golden.py

When it fails because the examples or a base model changed, record anew and leave `RECIPE` as it is: both are part of a
trial's identity by their contents.

Other processors and numbers of threads round differently, by 2e-5 in these logits; a learning rate half a per cent
higher moves them by 6e-3. Dropout has no part, since PyTorch draws its masks differently without MKL; `test_loop.py`
compares it with PEFT's and with the base model's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from evenhand.data.dataset import Dataset, TrainingExamples, content_hash
from evenhand.data.synthetic import SyntheticFaces, SyntheticPosts
from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.tasks.classification import Work, train
from evenhand.training.recipe import RECIPE, TrainSpec

FILE = Path(__file__).with_name("golden.json")
TOLERANCE = 1e-3

FULL = {"kind": "full", "lr": 1e-3, "epochs": 3}
LORA = {"kind": "lora", "rank": 4, "lr": 3e-3, "epochs": 3}

# Everything that the loop does shall show: decay, warm-up and clipping above their defaults, and steps of two parts.
SHOWING = {"precision": "float32", "weight_decay": 0.1, "warmup": 0.2, "clip_norm": 0.5}
WHOLE = TrainSpec(batch_size=16, **SHOWING)
PARTS = TrainSpec(batch_size=8, accumulate=2, **SHOWING)


@dataclass(frozen=True)
class Trial:
    """Learns from 100 examples and is asked about 10 others; the last step of an epoch has only 4."""

    model: str
    data: SyntheticPosts | SyntheticFaces
    method: dict[str, Any]
    train: TrainSpec

    def record(self) -> dict[str, Any]:
        """What the file keeps of it."""
        dataset: Dataset = self.data.load(None)
        learnt, asked = dataset.take(np.arange(100)), dataset.take(np.arange(100, 110))
        work = Work(
            base=find_model(self.model),
            method=parse_method("golden", self.method),
            train=self.train,
            seed=7,
            classes=dataset.classes,
            examples=TrainingExamples(learnt.inputs, learnt.labels),
            validation=asked,
        )
        with TemporaryDirectory() as folder:
            outcome, rows = train(work, Path(folder), {"test": asked}, keep="none")
        return {
            "base": work.base.fingerprint,
            "examples": content_hash(learnt.inputs, learnt.labels) + content_hash(asked.inputs, asked.labels),
            "losses": [round(outcome.train_loss, 5), round(outcome.validation_loss, 5)],
            "logits": [[round(value, 5) for value in row] for row in rows["logits"].to_list()],
        }


POSTS, FACES = SyntheticPosts(n=110), SyntheticFaces(n=110)
TRIALS = {
    "posts full": Trial("tiny-bert", POSTS, FULL, WHOLE),
    "posts lora": Trial("tiny-bert", POSTS, LORA, PARTS),
    "faces full": Trial("tiny-vit", FACES, FULL, WHOLE),
    "faces lora": Trial("tiny-vit", FACES, LORA, PARTS),
}


@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_answers_as_it_was_recorded(name):
    golden = json.loads(FILE.read_text(encoding="utf-8"))
    then, now = golden["trials"][name], TRIALS[name].record()
    for key in ("base", "examples"):
        assert now[key] == then[key], f"the {key} changed, which is no matter of RECIPE: record anew"
    moved = np.abs(np.array(now["logits"]) - np.array(then["logits"])).max()
    assert moved < TOLERANCE, f"numbers of training changed (logits by up to {moved:.2g}): raise RECIPE, record anew"
    assert now["losses"] == pytest.approx(then["losses"], abs=TOLERANCE)


def test_the_records_are_of_this_recipe():
    assert json.loads(FILE.read_text(encoding="utf-8"))["recipe"] == RECIPE, "RECIPE was raised: record anew"


if __name__ == "__main__":
    trials = {name: trial.record() for name, trial in TRIALS.items()}
    FILE.write_text(json.dumps({"recipe": RECIPE, "trials": trials}, indent=1) + "\n", encoding="utf-8")
