"""Corrections against known numbers and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats.multiplicity import benjamini_hochberg, bonferroni, holm


def test_holm_gives_the_known_numbers_with_the_monotone_step():
    assert holm(np.array([0.01, 0.02, 0.021, 0.03])) == pytest.approx([0.04, 0.06, 0.06, 0.06])


@pytest.mark.parametrize(
    ("ours", "theirs"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh"), (bonferroni, "bonferroni")]
)
def test_corrections_agree_with_statsmodels(ours, theirs):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(0).uniform(size=40) ** 3
    assert ours(p) == pytest.approx(multitest.multipletests(p, method=theirs)[1])


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg, bonferroni])
def test_one_p_value_needs_no_correction_and_none_gives_none(correct):
    assert correct(np.array([0.03])) == pytest.approx([0.03])
    assert len(correct(np.array([]))) == 0
