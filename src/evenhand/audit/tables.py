"""From records to estimates, verdicts and curves in one pass.

What a case says of a run is as long as the run's sample. It is worked out once, for the case's estimates and for its
contrasts, and then forgotten; a run is read once for all cases.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from evenhand import records
from evenhand.audit.across_settings import Compared, across_settings
from evenhand.audit.design import Design
from evenhand.audit.evaluation import evaluations
from evenhand.audit.kinds.estimands import Reader, cases
from evenhand.audit.kinds.predictions import drawn, estimated
from evenhand.audit.measures import select
from evenhand.audit.noise_floors import Floors
from evenhand.audit.planted_harm import detected_harm
from evenhand.audit.verdicts import check_margins, compared, judged, pooled_later


def audited(
    examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The tables that `estimate.estimates`, `compare.verdicts` and `estimate.curves` give, in this order; curves also
    hold what harm would have been seen (`harm.detected_harm`).

    Raises:
        InputError: records that do not fit each other or the design; an unknown measure, or a margin for one.
    """
    check_margins(design)
    measures = select(design.measures, "predictions")
    estimates: list[dict[str, Any]] = []
    verdicts: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    everywhere: list[Compared] = []
    for evaluation in evaluations(examples, trials, predictions, design):
        reader = Reader(evaluation, design.support)
        floors = Floors(reader)
        contrasts: list[Compared] = []
        for case in cases(evaluation, measures):
            estimates += estimated(reader, floors, case)
            if case.measure.direction:
                contrasts += compared(reader, case, design)
        families = judged(contrasts, design)
        verdicts += [row for family in families for row in family.rows()]
        everywhere += pooled_later(contrasts, design)
        curves += [*drawn(reader), *detected_harm(reader, families, design)]
    verdicts += across_settings(everywhere, examples, design)
    return (
        records.from_rows(estimates, "estimates"),
        records.from_rows(verdicts, "verdicts"),
        records.from_rows(curves, "curves"),
    )
