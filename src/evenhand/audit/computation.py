"""Computes the tables that follow from records: estimates, verdicts and curves, looks and findings."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import polars as pl

from evenhand import records
from evenhand.audit.design import Design
from evenhand.audit.kinds import KINDS
from evenhand.audit.looks import judged_by_look
from evenhand.audit.measures import check_design
from evenhand.audit.membership.pool import Attack, attacked
from evenhand.audit.reading import Assessment, assess
from evenhand.audit.record_tables import COMPUTED, FINDINGS, LOOKS, RECORDS


def audited_tables(tables: Mapping[str, pl.DataFrame], design: Design) -> dict[str, pl.DataFrame]:
    """Record tables with those that follow from them: estimates, verdicts, curves, and what else the design asks for.

    Where no scores are given and a setting's design says how its models are attacked, they are attacked here.

    Args:
        tables: valid record tables by name; missing tables have no rows.
        design: who is compared with whom, and what was declared harmless.

    Raises:
        InputError: records that do not fit each other or the design.
    """
    check_design(design)
    complete = {name: records.TABLES[name].empty() for name in (*RECORDS, LOOKS, FINDINGS)} | dict(tables)
    attacks: Mapping[str, Attack] = {}
    if "scores" not in tables and any(setting.membership for setting in design.settings.values()):
        pools = attacked(complete["examples"], complete["trials"], complete["predictions"], design, complete["tokens"])
        attacks = pools.settings
        complete |= {"members": pools.members, "scores": pools.scores}

    def audit(tables: Mapping[str, pl.DataFrame], design: Design, only_verdicts: bool = False) -> list[Assessment]:
        kinds = [readings(tables, design, attacks) for readings in KINDS]
        return [assess(kind, design, tables["trials"], only_verdicts=only_verdicts) for kind in kinds]

    if design.looks is not None:
        return complete | judged_by_look(audit, complete, design)
    assessments = audit(complete, design)
    for name in COMPUTED:
        complete[name] = pl.concat([getattr(assessment, name) for assessment in assessments])
    return complete | {"findings": _findings(complete, design, attacks)}


def _findings(tables: Mapping[str, pl.DataFrame], design: Design, attacks: Mapping[str, Attack]) -> pl.DataFrame:
    """The subgroups that fare worst, where the design asks for a search; else none."""
    if design.subgroups is None:
        return records.TABLES["findings"].empty()
    from evenhand.audit.kinds.membership import readings as of_membership
    from evenhand.audit.kinds.numbers import readings
    from evenhand.audit.kinds.prediction_tables import evaluations
    from evenhand.audit.subgroups.findings import findings
    from evenhand.audit.subgroups.search import Searchable

    of_table = tables["examples"], tables["trials"]
    predictions = (Searchable(one) for one in evaluations(*of_table, tables["predictions"], design))
    numbers = (Searchable(one.evaluation, one.kind, one.only) for one in readings(*of_table, tables["values"], design))
    membership = of_membership(*of_table, tables["members"], tables["scores"], design, attacks)
    return findings(chain(predictions, numbers, membership), design)
