"""How often a planted subgroup is recovered, beside AIF360's MDSS scan and fairsd's beam search.

    python benchmarks/subgroup_recovery.py

The peers want a virtual environment of their own: pip install . aif360 fairsd fairlearn pandas. In each draw 3,000
people have five attributes of three values. A model is wrong in 15%, and in `--harm` more of one conjunction of two
values (`one`); or more where two attributes agree and less where they do not, within a third (`xor`), so that no
attribute alone shows it. A tool recovers the subgroup if its best answer and the planted people overlap by 80%
(intersection over union); of the three planted conjunctions of `xor` one is enough. Every tool may describe people by
three attributes, and subgroups of 50 people count. MDSS gets the mean error as expectation and the penalty of its
documentation's example; its answer may join several values of an attribute.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from evenhand.audit.measures import measure_named
from evenhand.audit.subgroups.attributes import SearchedAttribute
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.questions import Outcome
from evenhand.audit.subgroups.search import ask

ROWS, ATTRIBUTES, VALUES, SUPPORT = 3000, 5, 3, 50
Search = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From values int [n, A] and errors int [n] to the members of the worst subgroup, bool [n]."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--harm", type=float, default=0.12)
    parser.add_argument("--only", choices=["evenhand", "aif360", "fairsd"], help="one tool")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    tools: dict[str, Search] = {"evenhand": ours}
    for name, search in (("aif360", mdss), ("fairsd", beam)):
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed; see the top of this file")
        else:
            tools[name] = search
    for case in ("one", "xor"):
        for name, search in tools.items():
            if options.only not in (None, name):
                continue
            found = sum(recovered(case, draw, options.harm, search) for draw in range(options.draws))
            print(f"{case}: {name} recovered it in {found} of {options.draws}", flush=True)


def recovered(case: str, draw: int, harm: float, search: Search) -> bool:
    """Whether a tool's best answer is a planted subgroup."""
    rng = np.random.default_rng(draw)
    values = rng.integers(0, VALUES, (ROWS, ATTRIBUTES))
    rate = np.full(ROWS, 0.15)
    if case == "one":
        planted = [(values[:, 0] == 0) & (values[:, 1] == 1)]
        rate[planted[0]] += harm
    else:
        inside = (values[:, 0] < 2) & (values[:, 1] < 2) & (values[:, 2] == 0)
        same = values[:, 0] == values[:, 1]
        rate += np.where(inside, np.where(same, harm, -harm), 0.0)
        planted = [inside & same & (values[:, 0] == value) for value in (0, 1)] + [inside & same]
    members = search(values, (rng.random(ROWS) < rate).astype(int))
    return any((members & one).sum() >= 0.8 * (members | one).sum() for one in planted)


def ours(values: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """The subgroup with the largest studentised gap."""
    names = tuple(map(str, range(VALUES)))
    attributes = [SearchedAttribute(f"a{place}", names, column) for place, column in enumerate(values.T)]
    found = Conjunctions(attributes, len(values), 3, SUPPORT)
    right = 1.0 - wrong[:, None]
    outcome = Outcome(measure_named("accuracy"), None, None, "model", None, ("gap",), right, np.ones_like(right))
    (asked,) = ask(found, outcome, SUPPORT)
    return found.members(int(asked.z.argmax()))


def mdss(values: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """The highest scoring subset of AIF360's multi-dimensional subset scan."""
    import pandas as pd
    from aif360.detectors.mdss_detector import bias_scan  # pyright: ignore[reportMissingImports]

    frame, observed = _frame(values), pd.Series(wrong)
    expected = pd.Series(np.full(len(wrong), wrong.mean()))
    subset, _ = bias_scan(frame, observed, expected, favorable_value=1, overpredicted=False, penalty=1.0)
    members = np.ones(len(wrong), dtype=bool)
    for name, chosen in subset.items():
        members &= frame[name].isin(chosen).to_numpy()
    return members


def beam(values: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """The best description of fairsd's beam search by the difference in the rate of errors."""
    import fairsd  # pyright: ignore[reportMissingImports]
    import pandas as pd

    frame = _frame(values)
    task = fairsd.SubgroupDiscoveryTask(
        frame,
        pd.Series(wrong),
        pd.Series(wrong),
        qf="demographic_parity_difference",
        result_set_size=1,
        depth=3,
        min_support=SUPPORT,
        min_support_ratio=SUPPORT / len(wrong),
        max_support_ratio=1.0,
    )
    best = fairsd.BeamSearch(beam_width=10).execute(task).get_description(0)
    return np.asarray(best.to_boolean_array(frame), dtype=bool)


def _frame(values: np.ndarray) -> Any:
    import pandas as pd

    return pd.DataFrame({f"a{place}": [f"v{value}" for value in column] for place, column in enumerate(values.T)})


if __name__ == "__main__":
    main()
