"""Conversations for supervised fine-tuning: what is read from a table, and what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import polars as pl
import pytest

from evenhand.data.sft import Sft, as_messages
from evenhand.data.splits import LimitSpec, SplitSpec, split
from evenhand.data.synthetic_instructions import SyntheticInstructions
from evenhand.errors import InputError

ROWS = {
    "prompt": ["Hello?", "Who are you?", "Hello?"],
    "response": ["Hi.", "A model.", "Good day."],
    "sex": ["f", "m", "f"],
}
TALK = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]


def read(path, **options):
    return Sft(path=str(path), **options).load(None)


@pytest.fixture
def table(tmp_path):
    pl.DataFrame(ROWS).write_csv(tmp_path / "pairs.csv")
    return tmp_path / "pairs.csv"


def test_prompts_and_responses_are_columns_of_these_names(table):
    found = read(table, groups=["sex"])
    assert [as_messages(text) for text in found.inputs] == [
        [{"role": "user", "content": text}] for text in ROWS["prompt"]
    ]
    assert list(found.targets) == ROWS["response"] and found.example.tolist() == ["0", "1", "2"]
    assert found.attributes["sex"].groups == ("f", "m") and found.template == "chat"
    assert found.unit[0] == found.unit[2] != found.unit[1], "rows with the same prompt belong together"


def test_columns_may_have_other_names_and_units_are_joined_where_prompts_repeat(tmp_path):
    path = tmp_path / "pairs.parquet"
    frame = pl.DataFrame(
        {"q": ["a", "b", "a", "c"], "a": ["1", "2", "3", "4"], "of": ["x", "x", "y", "z"], "id": list("wxyz")}
    )
    frame.write_parquet(path)
    found = read(path, prompt="q", response="a", unit="of", example="id", template="plain")
    assert found.example.tolist() == list("wxyz") and found.template == "plain"
    assert len(set(found.unit[:3])) == 1 and found.unit[3] not in found.unit[:3]


def test_a_conversation_is_a_list_of_messages_whose_last_is_the_response(tmp_path):
    path = tmp_path / "talks.jsonl"
    long = [{"role": "system", "content": "Be brief."}, *TALK, {"role": "user", "content": "And?"}]
    rows = [TALK, [*long, {"role": "assistant", "content": "Nothing."}]]
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    found = read(path)
    assert list(found.targets) == ["Hi", "Nothing."] and as_messages(found.inputs[1]) == long
    pl.DataFrame({"talk": [json.dumps(row) for row in rows]}).write_csv(tmp_path / "talks.csv")
    assert list(read(tmp_path / "talks.csv", messages="talk").targets) == ["Hi", "Nothing."]


@pytest.mark.parametrize(
    ("columns", "options", "sentence"),
    [
        ({"prompt": ["a", "b"], "response": ["c", "  "]}, {}, "the response in row 1 is empty (1 rows in all)"),
        ({"prompt": ["a", None], "response": ["c", "d"]}, {}, "the prompt in row 1 is empty"),
        ({"prompt": [1.5, 2], "response": ["c", "d"]}, {}, 'the column "prompt" (prompt:) holds Float64, not texts'),
        ({"question": ["a"], "response": ["c"]}, {}, "for prompt:"),
        ({"prompt": ["a", "b"], "response": ["c", "d"], "id": ["x", "x"]}, {"example": "id"}, "repeats an id"),
        ({"messages": ["hello"]}, {}, 'is no list of messages such as {"role": "user"'),
        ({"messages": [json.dumps(TALK[:1])]}, {}, "should have a prompt and end with a message of the role assistant"),
        ({"messages": [json.dumps(TALK[1:])]}, {}, "should have a prompt and end with a message of the role assistant"),
        ({"messages": [json.dumps([{"role": "bot", "content": "x"}])]}, {}, 'has the role "bot"'),
        ({"messages": [json.dumps([*TALK[:1], {"role": "assistant", "content": ""}])]}, {}, "has an empty message"),
    ],
)
def test_what_is_no_conversation_is_refused_with_its_row(tmp_path, columns, options, sentence):
    pl.DataFrame(columns).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=re.escape(sentence)):
        read(tmp_path / "t.parquet", **options)


def test_integers_of_a_csv_are_responses_as_they_stand_there(tmp_path):
    (tmp_path / "sums.csv").write_text("prompt,response\n1+1,2\n20+22,42\n")
    assert list(read(tmp_path / "sums.csv").targets) == ["2", "42"]
    (tmp_path / "sums.jsonl").write_text('{"prompt": "1/2", "response": 0.5}\n')
    with pytest.raises(InputError, match=r"holds Float64, not texts; write its values as texts, in quotes in JSON"):
        read(tmp_path / "sums.jsonl")


@pytest.mark.parametrize("before", [0, 1])
def test_a_content_of_parts_is_refused_with_its_row(before, tmp_path):
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "assistant", "content": "b"}]
    lines = [json.dumps({"messages": each}) for each in [*[TALK] * before, parts]]
    (tmp_path / "talks.jsonl").write_text("\n".join(lines) + "\n")
    said = rf'in row {before} \(column "messages"\) has a message of the role user whose content is no text, but a list'
    with pytest.raises(InputError, match=said):
        read(tmp_path / "talks.jsonl")


def test_both_forms_at_once_are_refused():
    with pytest.raises(InputError, match="name either messages: COLUMN, or prompt: COLUMN"):
        Sft.parse({"path": "t.csv", "messages": "m", "prompt": "p"}, "task sft")


def test_the_made_up_instructions_are_different_and_have_groups():
    found = SyntheticInstructions().load()
    assert len(set(found.inputs)) == len(found) == 240 and found.attributes["topic"].masks.sum() == 240
    assert len(set(found.targets)) < 41 and np.unique(found.labels).size == 2


def test_responses_of_one_length_are_learned_like_any_others(tmp_path):
    """Answers such as A and B: which half of them is longer is no label that could be missing."""
    rows = "".join(f"Is {number} even?,{'AB'[number % 2]}\n" for number in range(40))
    (tmp_path / "pairs.csv").write_text(f"prompt,response\n{rows}")
    data = Sft(path=str(tmp_path / "pairs.csv")).load(None)
    parts = split(data, SplitSpec(test=0.25, validation=0), LimitSpec(), 0)
    assert (len(parts.train), len(parts.test)) == (30, 10)
