"""Under what trials were trained: what is kept of it, and when a study mixes environments."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from evenhand import DPFull, DPLoRA, Full, QLoRA
from evenhand.study.environment import METHOD_PACKAGES, distinct_environments, training_environment


def test_every_trial_keeps_the_versions_and_the_machine():
    kept = training_environment(Full())
    assert kept["torch"] == version("torch") and {"python", "device", "machine", "system"} <= {*kept}
    assert not {*METHOD_PACKAGES.values()} & {*kept}


@pytest.mark.parametrize("method", [DPFull(), DPLoRA()])
def test_a_private_trial_keeps_the_version_of_opacus(method):
    assert training_environment(method) == {**training_environment(Full()), "opacus": version("opacus")}


def test_a_quantised_trial_keeps_the_version_of_bitsandbytes():
    pytest.importorskip("bitsandbytes")
    assert training_environment(QLoRA())["bitsandbytes"] == version("bitsandbytes")


PLAIN, OTHER = {"torch": "2"}, {"torch": "3"}


@pytest.mark.parametrize(
    ("environments", "expected"),
    [
        ([PLAIN, PLAIN], [PLAIN]),
        ([PLAIN, OTHER], [PLAIN, OTHER]),
        ([PLAIN, {**PLAIN, "opacus": "1.6"}], [{**PLAIN, "opacus": "1.6"}]),
        (
            [{**PLAIN, "opacus": "1.5"}, {**PLAIN, "opacus": "1.6"}],
            [{**PLAIN, "opacus": "1.5"}, {**PLAIN, "opacus": "1.6"}],
        ),
        ([PLAIN, {**PLAIN, "processes": "2"}], [{**PLAIN, "processes": "2"}, PLAIN]),
    ],
)
def test_a_package_that_only_some_methods_are_trained_with_mixes_nothing(environments, expected):
    assert distinct_environments(environments) == expected
