"""Scores of continuations in a trial's folder: nothing is computed twice, and texts are kept only where asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evenhand import records
from evenhand.data.dataset import TrainingExamples
from evenhand.errors import InputError
from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.tasks.generations import scorers
from evenhand.tasks.generations.generations import Generations
from evenhand.tasks.generations.prompt_sets import PromptSet, prompt_examples
from evenhand.tasks.generations.scorers import FunctionScorer
from evenhand.tasks.generations.trial import TEXTS, UNSCORED, beside_scores, write_generations
from evenhand.tasks.work import Work
from evenhand.training.recipe import TrainSpec

TOWN = PromptSet(
    attribute="town", groups={"north": ["Ada"], "south": ["Bo"]}, templates=["{person} is", "{person} was"]
)
AGE = PromptSet(
    attribute="age", groups={"young": ["the girl"], "old": ["the nun"]}, templates=["{person} is", "a {person}"]
)
GENERATIONS = Generations((prompt_examples(TOWN),), (FunctionScorer("length", "words"),), new_tokens=5)


@pytest.fixture(scope="module")
def model() -> Any:
    return load_language_model(find_model("tiny-llama"))


@pytest.fixture
def calls(monkeypatch) -> list[tuple[str, list[str], list[str]]]:
    """The calls of two functions, `words` and `chars`."""
    made = []

    def called(name, number):
        def function(prompts, texts):
            made.append((name, prompts, texts))
            return [float(number(text)) for text in texts]

        return function

    monkeypatch.setattr(
        scorers, "SCORERS", {"words": called("words", lambda text: len(text.split())), "chars": called("chars", len)}
    )
    return made


def work(generations: Generations | None, seed: int = 0) -> Work:
    base = find_model("tiny-llama")
    nothing = TrainingExamples([], np.zeros(0, dtype=np.int64))
    method = parse_method("base", {"kind": "base"})
    return Work(base, method, TrainSpec(), seed, (), nothing, None, generations=generations, trial="t")


def values(folder: Path) -> pl.DataFrame:
    return records.read(folder / "values.parquet", "values")


def test_scores_are_rows_of_values_and_are_computed_once(model, calls, tmp_path):
    assert write_generations(work(GENERATIONS), model, tmp_path)
    rows = values(tmp_path)
    assert rows["split"].unique().to_list() == ["generations/town"] and rows["name"].unique().to_list() == ["length"]
    assert rows["example"].to_list() == GENERATIONS.prompts[0].example.tolist()
    ((_, prompts, texts),) = calls
    assert prompts == ["Ada is", "Bo is", "Ada was", "Bo was"]
    assert rows["value"].to_list() == [float(len(text.split())) for text in texts]
    assert not (tmp_path / TEXTS).exists()
    before = (tmp_path / "values.parquet").read_bytes()
    assert write_generations(work(GENERATIONS), None, tmp_path) and len(calls) == 1
    assert (tmp_path / "values.parquet").read_bytes() == before


def test_a_new_scorer_or_set_is_all_that_is_computed(model, calls, tmp_path):
    write_generations(work(GENERATIONS), model, tmp_path)
    more = replace(GENERATIONS, scorers=(*GENERATIONS.scorers, FunctionScorer("chars", "chars")))
    assert not write_generations(work(more), None, tmp_path)  # the texts were not kept
    assert write_generations(work(more), model, tmp_path)
    assert [name for name, _, _ in calls] == ["words", "chars"] and len(values(tmp_path)) == 8
    sets = replace(more, prompts=(*more.prompts, prompt_examples(AGE)))
    assert write_generations(work(sets), model, tmp_path)
    assert [len(prompts) for _, prompts, _ in calls] == [4, 4, 4, 4]
    assert calls[2][1][0] == "The girl is" and len(values(tmp_path)) == 16


def test_kept_texts_are_scored_without_the_model(model, calls, tmp_path):
    kept = replace(GENERATIONS, keep_texts=True)
    assert write_generations(work(kept), model, tmp_path)
    assert records.read(tmp_path / TEXTS, "responses")["text"].to_list() == calls[0][2]
    more = replace(kept, scorers=(FunctionScorer("chars", "chars"),))
    assert write_generations(work(more), None, tmp_path)
    assert calls[1][2] == calls[0][2]
    assert values(tmp_path)["name"].unique().to_list() == ["chars"]  # a scorer that was dropped leaves no rows
    assert not write_generations(work(replace(more, new_tokens=3)), None, tmp_path)


def test_what_a_scorer_fails_on_is_kept_until_it_is_scored(model, calls, tmp_path):
    narrow = replace(GENERATIONS, scorers=(FunctionScorer("length", "words", (0, 0)),))
    with pytest.raises(InputError, match="outside of its range 0 to 0"):
        write_generations(work(narrow), model, tmp_path)
    assert write_generations(work(GENERATIONS), None, tmp_path), "without the model"
    ((_, _, first), (_, _, second)) = calls
    assert first == second and len(values(tmp_path)) == 4 and not (tmp_path / UNSCORED).exists()


def test_other_prompts_or_decoding_replace_the_scores(model, calls, tmp_path):
    write_generations(work(GENERATIONS), model, tmp_path)
    write_generations(work(replace(GENERATIONS, new_tokens=1)), model, tmp_path)
    assert len(values(tmp_path)) == 4 and len(calls) == 2
    other = replace(GENERATIONS, prompts=(prompt_examples(TOWN, 2),), samples=2, temperature=2.0)
    write_generations(work(other), model, tmp_path)
    assert len(values(tmp_path)) == 8 and calls[2][2][0] != calls[2][2][1]
    again = tmp_path / "again"
    again.mkdir()
    write_generations(work(other, seed=1), model, again)
    assert calls[3][2] != calls[2][2]


def test_values_of_a_task_stay_beside_the_scores(model, calls, tmp_path):
    write_generations(work(GENERATIONS), model, tmp_path)
    own = pl.DataFrame({"split": ["test"], "example": ["a"], "step": [None], "name": ["loss"], "value": [1.5]})
    own = own.with_columns(trial=pl.lit("t"), step=pl.lit(None, pl.Int64))
    rows, covered = beside_scores(tmp_path, own, {"split:test": "x"})
    records.write(rows, tmp_path / "values.parquet", "values", covered)
    assert len(values(tmp_path)) == 5 and write_generations(work(GENERATIONS), None, tmp_path)
    write_generations(work(replace(GENERATIONS, new_tokens=1)), model, tmp_path)
    assert values(tmp_path)["name"].to_list() == ["loss", *["length"] * 4]
    assert records.metadata(tmp_path / "values.parquet")["split:test"] == "x"


def test_nothing_is_written_where_nothing_is_asked_for(tmp_path):
    assert write_generations(work(None), None, tmp_path) and list(tmp_path.iterdir()) == []
