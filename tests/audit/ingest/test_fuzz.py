"""Random tables and files through the reader, and through whole audits: a result or one sentence, never a traceback.

A full fuzz (`make fuzz`) draws 100,000 tables and 2,000 audits; other suites a hundredth of that.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import random_tables
from evenhand import records
from evenhand.audit.ingest.table import audit, read_table
from evenhand.audit.ingest.table_records import TableRequest, records_from_table
from evenhand.errors import InputError
from evenhand.tables.files import READERS

SHARE = (settings().max_examples / 1000) ** 2
"""Of a full fuzz, from the profile's number of examples."""
SEEDS = st.integers(0, 2**63 - 1)


def sentence(error: InputError) -> None:
    assert str(error).strip() and "\n" not in str(error), error


@pytest.mark.fuzz
@settings(max_examples=max(round(100_000 * SHARE), 20))
@given(SEEDS)
def test_a_random_table_becomes_valid_records_or_one_sentence(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    wildness = [0.0, 0.1, 0.3, 1.0][rng.integers(0, 4)]
    frame = random_tables.table(rng, wildness, int(rng.integers(1, 25)))
    keywords = random_tables.request(rng, wildness)
    try:
        if rng.random() < 0.3:
            path = tmp_path_factory.getbasetemp() / "fuzz.csv"
            path.write_bytes(random_tables.text_file(rng, frame))
            table = read_table(path)
        else:
            table = random_tables.as_library(rng, frame)
        found = records_from_table(table, TableRequest(**keywords))
    except InputError as error:
        sentence(error)
        return
    for name in ("examples", "trials", "predictions", "members", "scores"):
        assert records.validate(getattr(found, name), name).equals(getattr(found, name))


@pytest.mark.fuzz
@settings(max_examples=max(round(10_000 * SHARE), 20))
@given(st.binary(max_size=200), st.sampled_from([".csv", ".tsv", ".csv.gz", *READERS]))
def test_random_bytes_are_a_table_or_one_sentence(tmp_path_factory, data, suffix):
    path = tmp_path_factory.getbasetemp() / f"bytes{suffix}"
    path.write_bytes(data)
    try:
        read_table(path)
    except InputError as error:
        sentence(error)


@pytest.mark.fuzz
@settings(max_examples=max(round(2_000 * SHARE), 10))
@given(SEEDS)
def test_a_random_table_is_audited_or_refused_in_one_sentence(seed):
    rng = np.random.default_rng(seed)
    wildness = [0.0, 0.05, 0.1][rng.integers(0, 3)]
    frame = random_tables.table(rng, wildness, int(rng.integers(4, 60)))
    try:
        results = audit(
            random_tables.as_library(rng, frame), **random_tables.request(rng, wildness), margins={"default": 0.1}
        )
        results.to_json()
    except InputError as error:
        sentence(error)
