"""Prints the simulated coverage in docs/statistics-derivations.md.

Usage: python tests/coverage/table.py REPETITIONS [SECTION ...]
"""

from __future__ import annotations

import sys
from dataclasses import replace

from counting import Coverage, coverage, false_claims, false_worse, marginal_coverage, widths
from planting import foretold, planted
from random_effects import DESIGN, REGIMES, World
from ridge import Ridge

MEASURES = {
    "accuracy": "accuracy",
    "worst_group_accuracy": "worst group",
    "accuracy_difference": "best − worst",
    "demographic_parity_difference": "DPD",
    "equalized_odds_difference": "EOD",
    "expected_calibration_error": "ECE",
    "calibration_error_squared": "squared calibration error",
}
WORLDS = [(vary, regime, runs) for vary in (True, False) for regime in REGIMES for runs in (3, 5, 10)]
OVERLAPPING = World(test=400, overlap=True, groups=(0.6, 0.5, 0.4, 0.3))
THIRTIES = World(test=120, groups=(0.25, 0.25, 0.25, 0.25))
HARMED = {"55%": (0.4, 0.0, 0.0, 0.0), "8%": (0.0, 0.0, 0.0, 0.6)}
"""What is planted in one group, by its share of the examples."""


def of_groups(found: dict[str, Coverage], measure: str) -> str:
    """The coverage for everyone or the attribute, and the range over groups."""
    whole = f"{found[measure].both:.3f}" if measure in found else ""
    parts = sorted(one.both for name, one in found.items() if name.startswith(f"{measure}:"))
    groups = f"{parts[0]:.3f}–{parts[-1]:.3f}" if parts else ""
    return "; ".join(part for part in (whole, groups) if part)


def header(*columns: str) -> None:
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))


def line(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def contrasts(repetitions: int) -> None:
    header("design", "spread", "runs", *MEASURES.values())
    for vary, regime, runs in WORLDS:
        found = coverage(World(runs=runs, vary=vary, test=400, **REGIMES[regime]), tuple(MEASURES), repetitions)
        line("new split" if vary else "fixed", regime, runs, *(of_groups(found, name) for name in MEASURES))
    for runs in (3, 5, 10):
        found = coverage(Ridge(runs=runs), tuple(MEASURES), repetitions)
        line("new split", "ridge", runs, *(of_groups(found, name) for name in MEASURES))
    unpaired = World(test=400, shared=0.0, design=DESIGN.model_copy(update={"paired": "none"}))
    found = coverage(unpaired, tuple(MEASURES), repetitions)
    line("new split", "unpaired", 5, *(of_groups(found, name) for name in MEASURES))


def places(repetitions: int) -> None:
    """Contrasts where groups overlap, are small, or one of them is harmed."""
    names = [name for name in MEASURES if name != "expected_calibration_error"]
    header("design", "groups", *(MEASURES[name] for name in names))
    worlds = {"overlapping": OVERLAPPING, "of 30": THIRTIES}
    worlds |= {f"that of {size} harmed": World(test=400, harm=harm) for size, harm in HARMED.items()}
    alike = World(test=400, shared=0.97, residual=0.15, seed=0.05, seed_group=0.05)
    worlds["that of 8% harmed, methods that go together"] = replace(alike, harm=(0.0, 0.0, 0.0, 0.4))
    for vary in (True, False):
        for groups, world in worlds.items():
            found = coverage(replace(world, vary=vary), tuple(names), repetitions)
            line("new split" if vary else "fixed", groups, *(of_groups(found, name) for name in names))


def ratios(repetitions: int) -> None:
    names = [name for name in MEASURES if name != "expected_calibration_error"]
    header("spread", *(MEASURES[name] for name in names))
    worlds: dict[str, World | Ridge] = {
        **{name: World(test=400, **regime) for name, regime in REGIMES.items()},
        "ridge": Ridge(),
        "overlapping groups": OVERLAPPING,
        "groups of 30": THIRTIES,
    }
    for spread, world in worlds.items():
        found = widths(world, tuple(names), repetitions)
        shown = {name: Coverage(one, 0, 0, 0, 0, 0) for name, one in found.items() if one == one}
        line(spread, *(of_groups(shown, name) for name in names))


def equivalence(repetitions: int) -> None:
    names = [name for name in MEASURES if name != "expected_calibration_error"]
    header("design", "harmed group", "truth", *(MEASURES[name] for name in names))
    for vary in (True, False):
        for size, harm in HARMED.items():
            for beyond in (1.0, 1.1):
                world = World(vary=vary, test=400, harm=harm)
                found = false_claims(world, tuple(names), repetitions, beyond)
                shown = {name: Coverage(one, 0, 0, 0, 0, 0) for name, one in found.items()}
                cells = [of_groups(shown, name) for name in names]
                line("new split" if vary else "fixed", size, f"{beyond} margins", *cells)


def few(repetitions: int) -> None:
    header("design", "flipped", "share", "runs", "everyone", "group of 120", "groups of 40", "at tail .05/8, least")
    for kind in ("cells", "units", "harm", "seeds"):
        for vary in (True, False):
            for share in (0.005, 0.02, 0.06):
                world = World(vary=vary, test=200, flips=share, flipped=kind, groups=(0.6, 0.2, 0.2))
                for runs in (3, 5):
                    found = coverage(replace(world, runs=runs), ("accuracy",), repetitions)
                    strict = coverage(replace(world, runs=runs), ("accuracy",), repetitions, tail=0.05 / 8)
                    small = min(found["accuracy:b"].both, found["accuracy:c"].both)
                    cells = [f"{one:.3f}" for one in (found["accuracy"].both, found["accuracy:a"].both, small)]
                    least = min(one.both for one in strict.values())
                    line("new split" if vary else "fixed", kind, share, runs, *cells, f"{least:.3f}")


def marginals(repetitions: int) -> None:
    names = {"true_positive_rate": "TPR", **MEASURES}
    header("design", "spread", "runs", *names.values())
    for vary, regime, runs in WORLDS:
        world = World(runs=runs, vary=vary, test=400, **REGIMES[regime])
        found = marginal_coverage(world, tuple(names), repetitions)
        shown = {name: Coverage(one, 0, 0, 0, 0, 0) for name, one in found.items()}
        line("new split" if vary else "fixed", regime, runs, *(of_groups(shown, name) for name in names))
    print()
    header("test set", "TPR", "accuracy")
    for test in (40, 100, 400):
        world = World(runs=1, vary=False, test=test, seed=0, seed_group=0)
        found = marginal_coverage(world, ("accuracy", "true_positive_rate"), repetitions)
        shown = {name: Coverage(one, 0, 0, 0, 0, 0) for name, one in found.items()}
        line(f"{test} examples", *(of_groups(shown, name) for name in ("true_positive_rate", "accuracy")))


def families(repetitions: int) -> None:
    names = [name for name in MEASURES if name not in ("expected_calibration_error", "worst_group_accuracy")]
    header("design", "spread", "runs", *(MEASURES[name] for name in names))
    worlds = {
        (vary, regime, runs): World(runs=runs, vary=vary, test=400, **REGIMES[regime])
        for vary, regime, runs in WORLDS
        if runs < 10
    }
    worlds |= {(vary, "overlapping", 5): replace(OVERLAPPING, vary=vary) for vary in (True, False)}
    for (vary, spread, runs), world in worlds.items():
        found = false_worse(world, tuple(names), repetitions)
        shown = {name: [f"{one[1]} {share:.3f}" for one, share in found.items() if one[0] == name] for name in names}
        line("new split" if vary else "fixed", spread, runs, *map("; ".join, shown.values()))


def power(repetitions: int) -> None:
    header("design", "spread", "runs", "harmed group", "accuracy lost", "of detectable", "found", "told beforehand")
    sizes = {"a": ("55% of the examples", (0.28, 0.5)), "d": ("8% of the examples", (0.8, 1.4))}
    for vary, regime, runs in WORLDS:
        if runs == 10 or regime == "mixed":
            continue
        world = World(runs=runs, vary=vary, test=400, **REGIMES[regime])
        for group, (size, harms) in sizes.items():
            found = [planted(world, group, harm, repetitions) for harm in harms]
            told = foretold(world, group, [one.harm for one in found], max(repetitions // 5, 20))
            for one, share in zip(found, told, strict=True):
                ratio = f"{one.harm / one.detectable:.2f}"
                where = "new split" if vary else "fixed"
                line(where, regime, runs, size, f"{one.harm:.3f}", ratio, f"{one.found:.3f}", f"{share:.3f}")


SECTIONS = {
    "contrasts": contrasts,
    "places": places,
    "widths": ratios,
    "few": few,
    "marginals": marginals,
    "families": families,
    "equivalence": equivalence,
    "power": power,
}

if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for section in sys.argv[2:] or SECTIONS:
        print(f"\n### {section}, {count} repetitions\n")
        SECTIONS[section](count)
