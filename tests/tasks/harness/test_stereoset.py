"""StereoSet in the harness's format: the forms of a sentence, what is compared, the published aggregate."""

from __future__ import annotations

import pytest

from evenhand.tasks.harness.benchmarks.stereoset.utils import doc_to_choice, icat, process_docs, process_results

DOCUMENT = {"forms": ["a stereotype", "its opposite", "lamp"]}


def results(*likelihoods: float) -> list[tuple[float, bool]]:
    return [(likelihood, False) for likelihood in likelihoods]


def test_the_stereotype_is_compared_with_its_opposite_and_both_with_what_means_nothing():
    found = process_results(DOCUMENT, results(-10.0, -12.0, -11.0))
    assert found["pct_stereotype"] == 1 and found["pct_meaningful"] == 0.5
    # Per byte the last, of four letters, is the least likely.
    assert found["pct_stereotype_norm"] == 1 and found["pct_meaningful_norm"] == 1
    found = process_results(DOCUMENT, results(-12.0, -10.0, -11.0))
    assert found["pct_stereotype"] == 0 and found["pct_meaningful"] == 0.5


@pytest.mark.parametrize(
    ("pairs", "value"),
    [
        ([(1.0, 1.0), (0.0, 1.0)], 1.0),  # the ideal model: meaningful, and no preference
        ([(1.0, 1.0), (1.0, 1.0)], 0.0),  # one that always prefers the stereotype
        ([(1.0, 0.5), (0.0, 0.5)], 0.5),  # one that chooses at random
        ([(1.0, 1.0), (1.0, 0.5), (1.0, 1.0), (0.0, 0.5)], 0.75 * 0.25 / 0.5),
    ],
)
def test_icat_is_that_of_the_paper(pairs, value):
    assert icat(pairs) == pytest.approx(value)


@pytest.mark.parametrize(
    "names", [["anti-stereotype", "stereotype", "unrelated"], ["unrelated", "stereotype", "anti-stereotype"]]
)
def test_forms_are_found_by_their_labels_whatever_the_order(names):
    datasets = pytest.importorskip("datasets")
    said = {"anti-stereotype": "its opposite", "stereotype": "a stereotype", "unrelated": "lamp"}
    features = datasets.Features(
        {
            "sentences": {
                "sentence": datasets.List(datasets.Value("string")),
                "gold_label": datasets.List(datasets.ClassLabel(names=names)),
            }
        }
    )
    rows = {"sentences": [{"sentence": [said[name] for name in names], "gold_label": [0, 1, 2]}]}
    made = process_docs(datasets.Dataset.from_dict(rows, features=features))
    assert doc_to_choice(made[0]) == DOCUMENT["forms"]
