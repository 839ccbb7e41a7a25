"""Intervals, tests, verdict rules and power, as functions of NumPy arrays: they know nothing of groups or fairness.

`docs/api-statistics.md` lists them by question; `docs/statistics.md` says what each interval covers.
"""

from evenhand.stats.agreement import RunAgreement
from evenhand.stats.bootstrap import (
    Cells,
    bca,
    bootstrap_counts,
    bootstrap_units,
    cell_shares,
    contingency,
    jackknife_counts,
    jackknife_units,
    percentile,
)
from evenhand.stats.contrast import TwoWay, two_sides, two_way, unpaired
from evenhand.stats.discrimination import PooledRoc, exceeds_dp, pooled_auc, pooled_rate
from evenhand.stats.equivalence import non_inferiority, tost, tost_independent, tost_paired, two_sided_verdict, verdict
from evenhand.stats.few_runs import FewRuns
from evenhand.stats.group_sequential import chance_of_deciding, look_levels
from evenhand.stats.heterogeneity import MetaAnalysis, pool
from evenhand.stats.means import SkewedMean, skewness_of
from evenhand.stats.multiplicity import MaxT, benjamini_hochberg, bonferroni, correlations, holm, max_t, unit_totals
from evenhand.stats.null import NoiseFloor, noise_floor, noise_floors, permuted_sums
from evenhand.stats.paired import StudentT, agresti_min, corrected_resampled_t, mcnemar, sign_flip, t_over_runs
from evenhand.stats.permuted_curves import PermutedGroups, permuted_areas
from evenhand.stats.power import detectable_by_runs, minimum_detectable_effect
from evenhand.stats.proportion import proportion_interval, wilson
from evenhand.stats.ranking import LogitInterval, SkewedInterval, precision_area, roc_area
from evenhand.stats.rate_changes import Moved, RateChange, cluster_step
from evenhand.stats.ratios import TwoProportions, score_ratio
from evenhand.stats.redrawn import pooled_curve, redraw_outcomes
from evenhand.stats.roc_point import RocPoint, pooled_tpr
from evenhand.stats.runs_needed import RunsNeeded, runs_needed
from evenhand.stats.score_interval import ScoreInterval
from evenhand.stats.subsets import RatioSums, TwoWays, changes, gap_changes, gaps, levels
from evenhand.stats.threshold_sweep import Sweep, sweep

__all__ = [
    "Cells",
    "FewRuns",
    "LogitInterval",
    "MaxT",
    "MetaAnalysis",
    "Moved",
    "NoiseFloor",
    "PermutedGroups",
    "PooledRoc",
    "RateChange",
    "RatioSums",
    "RocPoint",
    "RunAgreement",
    "RunsNeeded",
    "ScoreInterval",
    "SkewedInterval",
    "SkewedMean",
    "StudentT",
    "Sweep",
    "TwoProportions",
    "TwoWay",
    "TwoWays",
    "agresti_min",
    "bca",
    "benjamini_hochberg",
    "bonferroni",
    "bootstrap_counts",
    "bootstrap_units",
    "cell_shares",
    "chance_of_deciding",
    "changes",
    "cluster_step",
    "contingency",
    "corrected_resampled_t",
    "correlations",
    "detectable_by_runs",
    "exceeds_dp",
    "gap_changes",
    "gaps",
    "holm",
    "jackknife_counts",
    "jackknife_units",
    "levels",
    "look_levels",
    "max_t",
    "mcnemar",
    "minimum_detectable_effect",
    "noise_floor",
    "noise_floors",
    "non_inferiority",
    "percentile",
    "permuted_areas",
    "permuted_sums",
    "pool",
    "pooled_auc",
    "pooled_curve",
    "pooled_rate",
    "pooled_tpr",
    "precision_area",
    "proportion_interval",
    "redraw_outcomes",
    "roc_area",
    "runs_needed",
    "score_ratio",
    "sign_flip",
    "skewness_of",
    "sweep",
    "t_over_runs",
    "tost",
    "tost_independent",
    "tost_paired",
    "two_sided_verdict",
    "two_sides",
    "two_way",
    "unit_totals",
    "unpaired",
    "verdict",
    "wilson",
]
