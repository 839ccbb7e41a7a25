"""Processor seconds for all conjunctions of groups against DivExplorer and SliceLine, and against rows and attributes.

    python benchmarks/subgroups.py --adult DIR/adult

The peers are not among what Evenhand's tests need. They want a virtual environment of their own:

    pip install . divexplorer sliceline numba scikit-learn pandas

All run in one process on one table: Adult, 48,842 people, eight categorical attributes, and the errors of a logistic
regression. Every tool gets the same columns of text and encodes them itself, within its time. Evenhand and DivExplorer
return every conjunction with its size, its rate and a test statistic; SliceLine the ten with the best score, which
allows it to leave out most of the others. DivExplorer's public call has no limit on the length of a conjunction, so
its miner is given one. That all find the same is checked: names, sizes and rates against DivExplorer, the ten best
scores against SliceLine.

Evenhand's statistic is for the difference to the rest, with its variance and degrees of freedom. The second line of
Evenhand adds what the peers do not have, the largest of 999 searches where nothing is there.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evenhand.audit.measures import measure_named
from evenhand.audit.subgroups.attributes import SearchedAttribute
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.null import null_maxima
from evenhand.audit.subgroups.questions import Outcome
from evenhand.audit.subgroups.ratios import AskedRatio
from evenhand.audit.subgroups.search import ask

COLUMNS = (
    "workclass",
    "education",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "native-country",
)
PEERS = ("divexplorer", "sliceline", "pandas", "sklearn")
BEST = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adult", type=Path, metavar="DIR", help="folder with adult.data and adult.test")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    parser.add_argument("--depths", type=int, nargs="+", default=[3, 4])
    parser.add_argument("--largest", type=int, default=1_000_000, help="rows of the largest drawn table; 0: none")
    options = parser.parse_args()
    print(platform.processor() or platform.machine())
    if options.adult is not None:
        against_peers(options.adult, options.depths, options.rounds)
    if options.largest:
        growth(options.largest)


def against_peers(folder: Path, depths: list[int], rounds: int) -> None:
    """Compare with the peers that are installed."""
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    if missing:
        print(f"not compared: {', '.join(missing)} not installed; see the top of this file")
        return
    people = adult(folder)
    wrong = errors(people)
    print(f"Adult: {len(people):,} rows, {len(COLUMNS)} attributes, support 1%, {wrong.mean():.3f} wrong")
    for depth in depths:
        support = int(np.ceil(0.01 * len(people)))
        seconds, found = timed(lambda: ours(people, wrong, depth, support), rounds)  # noqa: B023
        with_null, _ = timed(lambda: searched(*found), 1)  # noqa: B023
        peer, theirs = timed(lambda: divexplorer(people, wrong, depth), rounds)  # noqa: B023
        sliced, best = timed(lambda: sliceline(people, wrong, depth), rounds)  # noqa: B023
        compare(found, theirs, best, people, wrong)
        print(
            f"depth {depth}: {len(found[0]):,} conjunctions, the same as DivExplorer's; the best {BEST} as SliceLine's"
        )
        print(f"  evenhand     {seconds:8.3f} s")
        print(f"  evenhand, with 999 searches where nothing is there {seconds + with_null:8.2f} s")
        print(f"  divexplorer  {peer:8.3f} s   {peer / seconds:6.1f} times as long")
        print(f"  sliceline    {sliced:8.3f} s   {sliced / seconds:6.1f} times as long")


def timed(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Processor seconds, the median of rounds, and the last result; a first run, which may compile, does not count."""
    found = work() if rounds > 1 else None
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        found = work()
        taken.append(time.process_time() - started)
    return statistics.median(taken), found


def adult(folder: Path) -> pl.DataFrame:
    """The attributes of everybody in Adult, as text, and whether they earn more than 50,000."""
    parts = [pl.read_csv(folder / name, infer_schema_length=0) for name in ("adult.data", "adult.test")]
    parts = [part.rename({name: name.strip() for name in part.columns}) for part in parts]
    people = pl.concat([parts[0], parts[1].select(parts[0].columns)]).drop_nulls("workclass")
    income = pl.col(people.columns[-1]).str.contains(">50K", literal=True).cast(pl.Int64).alias("y")
    return people.select(*(pl.col(name).str.strip_chars() for name in COLUMNS), income)


def errors(people: pl.DataFrame) -> np.ndarray:
    """Whether a logistic regression, trained on every second person, is wrong about each, int [n]."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    x = OneHotEncoder().fit_transform(people.select(COLUMNS).to_numpy())
    y = people["y"].to_numpy()
    model = LogisticRegression(max_iter=300).fit(x[::2], y[::2])
    return (model.predict(x) != y).astype(int)


def ours(people: pl.DataFrame, wrong: np.ndarray, depth: int, support: int) -> tuple[Conjunctions, AskedRatio]:
    """All conjunctions with sizes, rates, variances and test statistics of the gap to the rest."""
    attributes = []
    for name in COLUMNS:
        groups = people[name].unique().sort()
        code = people[name].replace_strict(groups, range(len(groups)), return_dtype=pl.Int64).to_numpy()
        attributes.append(SearchedAttribute(name, tuple(groups), code))
    conjunctions = Conjunctions(attributes, len(people), depth, support)
    numerator = wrong[:, None].astype(float)
    outcome = Outcome(
        measure_named("accuracy"), None, None, "model", None, ("gap",), 1 - numerator, np.ones_like(numerator)
    )
    (asked,) = ask(conjunctions, outcome, support)
    return conjunctions, asked


def searched(conjunctions: Conjunctions, asked: AskedRatio) -> np.ndarray:
    """The largest contrast in each of 999 searches where nothing is there."""
    return null_maxima(conjunctions, [asked], np.random.default_rng(0))


def divexplorer(people: pl.DataFrame, wrong: np.ndarray, depth: int) -> Any:
    """All conjunctions with supports, rates and t, by DivExplorer."""
    import divexplorer.divexplorer as module  # pyright: ignore[reportMissingImports]
    from divexplorer.utils_FPgrowth import fpgrowth_cm  # pyright: ignore[reportMissingImports]

    frame = people.select(COLUMNS).to_pandas().assign(wrong=wrong)
    module.fpgrowth_cm = partial(fpgrowth_cm, max_len=depth)
    return module.DivergenceExplorer(frame).get_pattern_divergence(min_support=0.01, boolean_outcomes=["wrong"])


def sliceline(people: pl.DataFrame, wrong: np.ndarray, depth: int) -> Any:
    """The ten conjunctions with the best score, by SliceLine."""
    from sliceline import Slicefinder  # pyright: ignore[reportMissingImports]

    finder = Slicefinder(alpha=0.95, k=BEST, max_l=depth, min_sup=int(np.ceil(0.01 * len(people))), verbose=False)
    return finder.fit(people.select(COLUMNS).to_pandas(), wrong)


def compare(
    found: tuple[Conjunctions, AskedRatio], theirs: Any, best: Any, people: pl.DataFrame, wrong: np.ndarray
) -> None:
    """Raise SystemExit unless all found the same."""
    conjunctions, asked = found
    rates = 1 - asked.sums.inside.values[:, 0]
    places = {frozenset(conjunctions.groups_of(place)): place for place in range(len(conjunctions))}
    peers = {frozenset(row.itemset): row for row in theirs.itertuples() if len(row.itemset)}
    if places.keys() != peers.keys():
        raise SystemExit(f"other conjunctions: {len(places)} and {len(peers)}")
    for groups, row in peers.items():
        place = places[groups]
        if round(row.support * len(people)) != conjunctions.size[place] or abs(row.wrong - rates[place]) > 1e-9:
            raise SystemExit(f"another size or rate: {' & '.join(sorted(groups))}")
    size = conjunctions.size
    score = 0.95 * (rates / wrong.mean() - 1) - 0.05 * (len(people) / size - 1)
    scores = [row["slice_score"] for row in best.top_slices_statistics_[:BEST]]
    if not np.allclose(np.sort(score)[::-1][:BEST], scores, rtol=1e-6):
        raise SystemExit(f"other scores: {np.sort(score)[::-1][:BEST]} and {scores}")


def growth(largest: int) -> None:
    """Seconds and peak memory of tables that are drawn, each in a process of its own; depth 3, support 1 in 1,000."""
    print("rows        attributes  conjunctions  seconds  with 999 null searches  peak memory")
    for rows, attributes in ((largest // 100, 10), (largest // 10, 10), (largest, 5), (largest, 10)):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            count, seconds, with_null, peak = pool.apply(drawn, (rows, attributes))
        print(f"{rows:<11,} {attributes:<11} {count:<13,} {seconds:<8.2f} {with_null:<23.2f} {peak / 2**20:.2f} GB")


def drawn(rows: int, attributes: int) -> tuple[int, float, float, int]:
    """Search a table of random groups; conjunctions, seconds without and with the null, and kilobytes of memory."""
    rng = np.random.default_rng(0)
    found = [
        SearchedAttribute(f"a{place}", tuple("abcde"), rng.choice(5, rows, p=[0.4, 0.25, 0.2, 0.1, 0.05]))
        for place in range(attributes)
    ]
    right = (rng.random((rows, 1)) < 0.85).astype(float)
    started = time.process_time()
    conjunctions = Conjunctions(found, rows, 3, max(rows // 1000, 20))
    outcome = Outcome(measure_named("accuracy"), None, None, "model", None, ("gap",), right, np.ones_like(right))
    (asked,) = ask(conjunctions, outcome, 10)
    seconds = time.process_time() - started
    null_maxima(conjunctions, [asked], rng)
    whole = time.process_time() - started
    return len(conjunctions), seconds, whole, peak_kilobytes()


def peak_kilobytes() -> int:
    """The most memory that this process has held; what the process it began from held does not count (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
