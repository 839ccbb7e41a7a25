"""`--on` names accelerators by count and name."""

from __future__ import annotations

import pytest

from evenhand.errors import InputError
from evenhand.study.machines import ACCELERATORS, MOST, parse_machines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8xH100", (8, "H100")),
        ("H100", (1, "H100")),
        (" 2 x A100-80GB ", (2, "A100-80GB")),
        ("4×rtx 4090", (4, "RTX-4090")),
        ("3*a100_40gb", (3, "A100-40GB")),
        ("100000xT4", (100_000, "T4")),
    ],
)
def test_a_count_and_a_name_in_any_capitals(text, expected):
    machines = parse_machines(text)
    assert (machines.count, machines.accelerator.name) == expected
    assert parse_machines(str(machines)) == machines


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("8xH10", 'knows no accelerator "H10"; did you mean "H100"?'),
        ("4xA100", 'knows no accelerator "A100"; write A100-80GB or A100-40GB'),
        ("8xTPU", "known: A100-40GB, A100-80GB, A10G, CPU-2, H100"),
        ("", 'knows no accelerator ""'),
        ("0xH100", f"from 1 to {MOST:,} accelerators, not 0"),
        ("100001xH100", "not 100,001"),
        ("8xH100 + 4xL4", "one kind of accelerator"),
        ("8x\nH 1 0 0 0", "knows no accelerator"),
        ("9" * 5000 + "xH100", "knows no accelerator"),
    ],
)
def test_what_is_wrong_is_one_sentence_that_names_what_is_known(text, said):
    with pytest.raises(InputError) as error:
        parse_machines(text)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_price_is_the_list_price_unless_one_is_given():
    assert parse_machines("H100").price == ACCELERATORS["H100"].price
    assert parse_machines("H100", 0.0).price == 0.0


def test_auto_is_bfloat16_where_an_accelerator_has_it():
    h100, t4 = ACCELERATORS["H100"], ACCELERATORS["T4"]
    assert (h100.precision("auto"), t4.precision("auto")) == ("bfloat16", "float32")
    assert t4.precision("bfloat16") == "bfloat16", "what a study fixes stays fixed"
    assert t4.peak("bfloat16") == t4.float32 and h100.peak("bfloat16") > h100.float32
