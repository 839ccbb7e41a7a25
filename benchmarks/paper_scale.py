"""Calculates wall time and cost of every study of the paper at full size on stated machines, as a Markdown table.

    python benchmarks/paper_scale.py --data DIR [--on 1xH100 8xH100 8xA100-80GB] [--only fig2 fig7]

Nothing is trained or timed: this is `evenhand plan paper/NAME --on MACHINES` for every preset. `DIR` holds the data
sets that are here, one folder each. Missing ones are stated: files of the published number of examples in the data
set's own format, with made-up contents that do not matter for arithmetic (images of one pixel, reviews of one length).
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from evenhand.data.hatespeech.dlab import GROUPS, PUBLISHED
from evenhand.data.stated import FACES, POST_CHARACTERS, REVIEW_CHARACTERS, REVIEWS
from evenhand.study.machine_forecast import MachineForecast
from evenhand.study.machine_plan import forecast_plan, plan_on
from evenhand.study.machines import parse_machines
from evenhand.study.presets import list_presets, read_preset
from evenhand.study.progress import duration
from evenhand.study.spec import StudySpec
from evenhand.study.trial_size import SizeReader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--on", nargs="+", default=["1xH100", "8xH100", "8xA100-80GB"])
    parser.add_argument("--only", nargs="+")
    options = parser.parse_args()
    machines = [parse_machines(text) for text in options.on]
    names = [name.partition("/")[2] for name, _ in list_presets() if name.startswith("paper/")]
    every: list[list[MachineForecast]] = []
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "data", Path(folder) / "out"
        for name, text in stated_data(options.data, data).items():
            print(f"stated: {name}: {text}")
        heads = ["preset", "trials", "largest memory", *(f"{each}: wall time, GPU-hours, USD" for each in machines)]
        print(f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", sep="\n")
        for name in options.only or names:
            read = SizeReader()
            planned = plan_on(machines[0].accelerator, StudySpec(**read_preset(f"paper/{name}")), data)
            every.append([forecast_plan(one, planned, out, read) for one in machines])
            print(row(name, every[-1]), flush=True)
    print(sums(every))
    for sentence in dict.fromkeys(line for found in every for one in found for line in one.basis):
        print(sentence)


def stated_data(real: Path, folder: Path) -> dict[str, str]:
    """Link the data sets that are there into a folder, write the stated ones beside them, and say which those are."""
    folder.mkdir()
    for path in real.iterdir():
        (folder / path.name).symlink_to(path.resolve(), target_is_directory=True)
    stated = {}
    table = next(iter(sorted((real / "dlab").glob("*.csv"))), None)
    if table is None or len(pl.read_csv(table, columns=["text"])) < max(PUBLISHED.values()):
        (folder / "dlab").unlink(missing_ok=True)
        (folder / "dlab").mkdir()
        posts().write_csv(folder / "dlab" / "measuring_hate_speech.csv")
        stated["dlab"] = f"{', '.join(f'{count:,} ({name})' for name, count in PUBLISHED.items())} posts of "
        stated["dlab"] += f"{POST_CHARACTERS} characters"
    if not (folder / "utkface").exists():
        write_faces(folder / "utkface")
        stated["utkface"] = f"{FACES:,} images"
    if not (folder / "reviews").exists():
        (folder / "reviews").mkdir()
        # Short and long ones, since a split draws from both.
        lengths = (REVIEW_CHARACTERS - 100, REVIEW_CHARACTERS + 100)
        lines = [f"{number} ".ljust(lengths[number % 2], "x") for number in range(REVIEWS)]
        (folder / "reviews" / "reviews.txt").write_text("\n".join(lines) + "\n")
        stated["reviews"] = f"{REVIEWS:,} reviews of {REVIEW_CHARACTERS} characters on average"
    return stated


def posts() -> pl.DataFrame:
    """Return as many posts as D-Lab has about each subset, with the columns that its loader reads."""
    columns = {f"target_{subset}": pl.Boolean for subset in GROUPS}
    columns |= {f"target_{subset}_{group}": pl.Boolean for subset, groups in GROUPS.items() for group in groups}
    rows = [
        {
            "text": f"{subset} {number} ".ljust(POST_CHARACTERS, "x"),
            "hate_speech_score": float(number % 2),
            **dict.fromkeys(columns, False),
            f"target_{subset}": True,
            f"target_{subset}_{GROUPS[subset][number % len(GROUPS[subset])]}": True,
        }
        for subset, count in PUBLISHED.items()
        for number in range(count)
    ]
    return pl.DataFrame(rows, schema={"text": pl.String, "hate_speech_score": pl.Float64, **columns})


def write_faces(folder: Path) -> None:
    """Write as many images of one pixel as UTK-Face has, all different files, with ages, genders and races."""
    from PIL import Image

    folder.mkdir()
    file, rng = io.BytesIO(), np.random.default_rng(0)
    Image.new("RGB", (1, 1)).save(file, format="JPEG")
    for number in range(FACES):
        age, gender, race = 1 + rng.integers(100), rng.integers(2), rng.integers(5)
        path = folder / f"{age}_{gender}_{race}_{20170100000000000 + number}.jpg.chip.jpg"
        path.write_bytes(file.getvalue() + str(number).encode())  # what follows an image is not read


def row(name: str, found: list[MachineForecast]) -> str:
    """Return the row of a preset."""
    memory = max(method.memory for method in found[0].methods) / 1e9
    cells = [f"`paper/{name}`", str(found[0].listed.to_train), f"{memory:.0f} GB", *map(cell, found)]
    return f"| {' | '.join(cells)} |"


def sums(every: list[list[MachineForecast]]) -> str:
    """Return the row of all presets one after the other."""
    trials = sum(found[0].listed.to_train for found in every)
    cells = [
        shown(
            sum(one.wall_seconds for one in of_machine),
            sum(one.accelerator_seconds for one in of_machine),
            sum(one.cost for one in of_machine),
        )
        for of_machine in zip(*every, strict=True)
    ]
    return f"| {' | '.join(['together', str(trials), '', *cells])} |"


def cell(found: MachineForecast) -> str:
    """Return what a study takes, and how many of its trials do not fit."""
    large = sum(method.trials for method in found.methods if not method.fits)
    missing = f" (without {large} trials that do not fit)" if large else ""
    return shown(found.wall_seconds, found.accelerator_seconds, found.cost) + missing


def shown(wall: float, used: float, cost: float) -> str:
    """Return wall time, hours and price in a cell."""
    return f"{duration(wall)}, {used / 3600:,.1f} h, {cost:,.0f}"


if __name__ == "__main__":
    main()
