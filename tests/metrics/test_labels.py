"""Labels, positive classes and weights: what is taken, and what is refused with one sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evenhand.errors import InputError
from evenhand.metrics import accuracy, demographic_parity_difference, selection_rate, true_positive_rate

WORDS = np.array(["no", "yes", "yes", "no"])


@pytest.mark.parametrize("positive", [1, 1.0, True, np.int8(1)])
@pytest.mark.parametrize("negative", [0, -1])
def test_the_positive_class_of_natural_pairs_needs_no_name(positive, negative):
    assert selection_rate([negative, positive], [positive, negative]) == 0.5


def test_words_without_a_positive_class_are_refused():
    with pytest.raises(InputError, match=r"say which is the positive class with pos_label$"):
        demographic_parity_difference(WORDS, WORDS, sensitive_features=list("aabb"))
    assert true_positive_rate(WORDS, WORDS[::-1], pos_label="yes") == 1.0


def test_more_than_two_classes_ask_for_a_class_or_an_average():
    with pytest.raises(InputError, match=r'the labels are 0, 1, 2: .*pos_label, or average="worst" or "macro"'):
        selection_rate([0, 1, 2], [0, 1, 2])
    assert selection_rate([0, 1, 2], [0, 2, 2], pos_label=2) == pytest.approx(2 / 3)


def test_a_positive_class_that_is_no_label_is_refused():
    with pytest.raises(InputError, match="pos_label is 'Yes', which is not among the labels no, yes"):
        selection_rate(WORDS, WORDS, pos_label="Yes")


def test_a_sample_of_one_natural_class_is_no_mistake():
    assert selection_rate([0, 0], [0, 0]) == 0.0
    assert selection_rate([0, 0], [0, 0], pos_label=1) == 0.0


def test_a_positive_class_and_an_average_exclude_each_other():
    with pytest.raises(InputError, match="pos_label or average, not both"):
        true_positive_rate([0, 1, 2], [0, 1, 2], pos_label=1, average="macro")
    with pytest.raises(InputError, match='average is "micro"'):
        true_positive_rate([0, 1, 2], [0, 1, 2], average="micro")  # type: ignore[arg-type]


def test_scores_are_not_labels():
    with pytest.raises(InputError, match=r"y_pred holds 0\.7, no class"):
        selection_rate([0, 1], [0.7, 0.2])


@pytest.mark.parametrize(
    "values", [[1.0, np.nan], [1, None], ["a", None], ["a", float("nan")], pd.Series(["a", pd.NA])]
)
def test_missing_labels_are_refused(values):
    with pytest.raises(InputError, match="y_true holds missing values"):
        accuracy(values, [1, 0])


def test_words_are_not_compared_with_numbers():
    with pytest.raises(InputError, match="y_true holds words and y_pred does not"):
        accuracy(["1", "0"], [1, 0])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="y_true has 2 labels and y_pred 3"):
        accuracy([0, 1], [0, 1, 1])
    with pytest.raises(InputError, match=r"y_true has shape \(1, 2\)"):
        accuracy([[0, 1]], [0, 1])
    with pytest.raises(InputError, match="y_pred has rows of different lengths"):
        accuracy([0, 1], [[0, 1], [1]])
    with pytest.raises(InputError, match="y_true is empty"):
        accuracy([], [])
    with pytest.raises(InputError, match="several trials"):
        accuracy([0, 1], [[0, 1], [1, 1]])


def test_accuracy_needs_no_positive_class():
    assert accuracy(WORDS, ["no", "yes", "no", "maybe"]) == 0.5
    assert accuracy(pd.Series(WORDS), pd.Series(WORDS)) == 1.0


def test_weights_are_finite_and_not_negative():
    for weight in ([1, -1], [1, np.inf]):
        with pytest.raises(InputError, match="negative or not a number"):
            accuracy([0, 1], [0, 1], sample_weight=weight)
    with pytest.raises(InputError, match=r"sample_weight has shape \(3,\)"):
        accuracy([0, 1], [0, 1], sample_weight=[1, 1, 1])
    assert np.isnan(accuracy([0, 1], [0, 1], sample_weight=[0, 0]))
