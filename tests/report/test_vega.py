"""Charts are valid Vega-Lite, by the schema that altair has."""

from __future__ import annotations

import altair
import pytest
from jsonschema import ValidationError

from evenhand.audit.results import Results
from evenhand.report import vega
from evenhand.report.figures import _verdicts
from evenhand.report.sections import SECTIONS
from golden.golden_records import CASES


@pytest.mark.parametrize("case", ["settings_of_every_kind", "one_seed_of_every_kind", "a_new_split_per_seed"])
def test_every_chart_of_every_kind_of_records_fits_the_schema(case):
    results = Results.compute(**CASES[case]())
    blocks = [block for section in SECTIONS for block in section.blocks(results)]
    drawn = [figure.chart for block in blocks for figure in block.figures]
    drawn += [chart for _, chart in _verdicts(results)]
    assert len(drawn) > 3
    for chart in drawn:
        altair.Root.validate(chart.to_dict())


def test_a_chart_that_does_not_fit_is_found():
    with pytest.raises(ValidationError):
        altair.Root.validate({"mark": "wave", "encoding": {}})


@pytest.mark.parametrize(("panels", "own"), [(2, False), (3, False), (4, True), (6, False), (7, True)])
def test_panels_have_axes_of_their_own_where_the_last_line_is_not_full(panels, own):
    """A shared axis would stand below an empty place."""
    spec = vega.faceted([{"mark": "point"}], "m", [f"m{place}" for place in range(panels)], 3, 100, 100)
    assert ("resolve" in spec) == own and spec["columns"] == min(panels, 3)
