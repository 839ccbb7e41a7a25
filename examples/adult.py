"""Predictions of one or two models on Adult, for the tutorial in docs/audit.md. Needs scikit-learn; downloads nothing.

    python examples/adult.py DIR one.csv --models boosting --seeds 1
    python examples/adult.py DIR two.csv --seeds 1
    python examples/adult.py DIR predictions.csv

DIR holds adult.data and adult.test of UCI Adult (Becker and Kohavi 1996, https://archive.ics.uci.edu/dataset/2/adult),
as they are downloaded or with a header line. A seed is a new random split of all 48,842 rows, 80% for training and 20%
for the test, the same for both models. So runs differ in their training rows and in their test rows, and a verdict must
hold despite this variation. (On the official split, logistic regression would be the same model five times.) Neither
model sees sex or race.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

NUMBERS = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
WORDS = ["workclass", "marital-status", "occupation", "relationship", "native-country"]
COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "Y",
]
POSITIVE = ">50K"


def read(folder: Path) -> pl.DataFrame:
    """The rows of both files: an id, numbers, words ("?" counts as a value), the label without its dot."""
    parts = []
    for name in ("adult.data", "adult.test"):
        # The test file begins with a comment, and some copies of both have a header line.
        part = pl.read_csv(folder / name, has_header=False, new_columns=COLUMNS, comment_prefix="|", infer_schema=False)
        part = part.with_columns(pl.all().str.strip_chars()).filter(pl.col("age") != "age")
        part = part.with_columns(pl.col("Y").str.strip_suffix("."))
        parts.append(part.with_columns(example=pl.format("{}:{}", pl.lit(name), pl.int_range(pl.len()))))
    return pl.concat(parts).with_columns(pl.col(NUMBERS).cast(pl.Float64))


def models(seed: int) -> dict[str, Pipeline]:
    """Untrained models by name."""
    hot = make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), WORDS))
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    coded = make_column_transformer((codes, WORDS), ("passthrough", NUMBERS))
    categorical = list(range(len(WORDS)))
    return {
        "logistic": make_pipeline(hot, LogisticRegression(max_iter=1000)),
        "boosting": make_pipeline(
            coded, HistGradientBoostingClassifier(categorical_features=categorical, random_state=seed)
        ),
    }


def predictions(people: pl.DataFrame, seed: int, names: Sequence[str]) -> pl.DataFrame:
    """One row per test person and model."""
    labels = people["Y"].to_numpy()
    train, test = train_test_split(range(len(people)), test_size=0.2, random_state=seed, stratify=labels)
    features = people.select(NUMBERS + WORDS)
    tested = people[test].select("example", pl.lit(seed).alias("seed"), label="Y", sex="sex", race="race")
    frames = []
    for name in names:
        model = models(seed)[name]
        model.fit(features[train], labels[train])
        column = list(model.classes_).index(POSITIVE)
        probability = model.predict_proba(features[test])[:, column]
        frames.append(
            tested.with_columns(
                method=pl.lit(name),
                prediction=pl.Series(model.predict(features[test])),
                probability=pl.Series(probability).round(6),
            )
        )
    return pl.concat(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="holds adult.data and adult.test")
    parser.add_argument("out", type=Path, metavar="CSV", help="the table of predictions to write")
    parser.add_argument("--seeds", type=int, default=5, help="how many random splits (default: 5)")
    parser.add_argument("--models", nargs="+", choices=list(models(0)), default=list(models(0)), help="(default: both)")
    arguments = parser.parse_args()
    people = read(arguments.folder)
    table = pl.concat([predictions(people, seed, arguments.models) for seed in range(arguments.seeds)])
    columns = ["example", "seed", "method", "label", "prediction", "probability", "sex", "race"]
    table.select(columns).write_csv(arguments.out)
    print(f"{arguments.out}: {len(table):,} predictions")


if __name__ == "__main__":
    main()
