"""Runs lm-evaluation-harness on small tasks, or on real data, and has it write its logs as its command does.

`python tests/audit/lm_eval_logs.py` writes the logs in `harness_logs/lm_eval` again.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

HERE = Path(__file__).parent
KEPT = HERE / "harness_logs" / "lm_eval"
"""The logs that tests read where the harness is not installed."""

TASKS = ("rooms", "counts", "endings", "pairs", "colours")
"""A group of two tasks, and tasks whose metrics are means, perplexities and F1."""

_NOUNS = ("mill", "lamp", "key", "letter", "baker", "guard", "cat", "horse", "wheel", "bread", "stone", "river")


def documents(number: int) -> list[dict[str, Any]]:
    """Questions with groups (one, several, nested, missing) and templates of four."""
    rows = []
    for n in range(number):
        word = _NOUNS[n % len(_NOUNS)]
        row: dict[str, Any] = {
            "question": f"Where is the {word} of house {n}?",
            "right": ("here", "in the old barn", "there")[n % 3],
            "wrong": ("there", "here", "in the barn")[n % 3],
            "label": n % 2,
            "template": n // 4,
            "gender": ("female", "male")[n % 2],
            "tags": [("old", "new")[n % 2], *(["rare"] if n % 5 == 0 else [])],
            "meta": {"kind": "xyz"[n % 3], "long": n % 7 == 0},
        }
        row["partly"] = None if n % 6 == 0 else "north" if n % 4 else "south"
        rows.append(row)
    return rows


def write_tasks(folder: Path, number: int = 40) -> list[Path]:
    """Write tasks in the harness's format with their documents; returns the files of the tasks and of the group."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("more", number), ("fewer", number // 2)):
        lines = "".join(f"{json.dumps(row)}\n" for row in documents(count))
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    choice = {"output_type": "multiple_choice", "doc_to_target": 0, "doc_to_choice": "{{[right, wrong]}}"}
    mean = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")]
    own = {
        "rooms_big": {**choice, "metric_list": mean},
        "rooms_small": {**choice, "doc_to_choice": "{{[wrong, right]}}", "metric_list": mean},
        "counts": {
            "output_type": "generate_until",
            "doc_to_target": "{{right}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": 3, "do_sample": False},
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
            "filter_list": [
                {"name": "strict", "filter": [{"function": "take_first"}]},
                {
                    "name": "loose",
                    "filter": [{"function": "regex", "regex_pattern": "(\\w)"}, {"function": "take_first"}],
                },
            ],
        },
        "endings": {
            "output_type": "loglikelihood",
            "doc_to_target": " {{right}}",
            "metric_list": [
                {"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False},
                *mean[:1],
            ],
        },
        "pairs": {
            **choice,
            "doc_to_choice": ["no", "yes"],
            "doc_to_target": "label",
            "metric_list": [{"metric": "acc"}, {"metric": "f1"}],
        },
        # Its documents are those of `rooms_small` in other words, so that two tasks share units.
        "colours": {**choice, "doc_to_text": "Say it: {{question}}", "metric_list": mean[:1]},
    }
    for name, config in own.items():
        data = folder / ("fewer.jsonl" if name in ("rooms_small", "counts") else "more.jsonl")
        whole = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}},
            "test_split": "test",
            "doc_to_text": "{{question}}",
            "metadata": {"version": 2.0},
            **config,
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    group = {
        "group": "rooms",
        "task": ["rooms_big", "rooms_small"],
        "aggregate_metric_list": [
            {"metric": "acc", "aggregation": "mean", "weight_by_size": True},
            {"metric": "acc_norm", "aggregation": "mean", "weight_by_size": False},
        ],
    }
    (folder / "rooms.yaml").write_text(yaml.safe_dump(group, sort_keys=False), encoding="utf-8")
    return sorted(folder.glob("*.yaml"))


def write_real_tasks(folder: Path, shared: Path) -> None:
    """Write CrowS-Pairs and Winogender, as their authors published them, in the columns that the harness reads."""
    import lm_eval.tasks

    folder.mkdir(parents=True, exist_ok=True)
    pairs = pl.read_csv(shared / "crows_pairs" / "crows_pairs_anonymized.csv")
    pairs = pairs.rename({pairs.columns[0]: "id"}).with_columns(block=pl.col("id") // 4)  # clusters of one size
    pairs = pairs.select("id", "sent_more", "sent_less", "stereo_antistereo", "bias_type", "block")
    pairs.write_parquet(folder / "pairs.parquet")
    sentences = pl.read_csv(shared / "winogender" / "all_sentences.tsv", separator="\t")
    rows = []
    for name, sentence in sentences.iter_rows():
        occupation, participant, answer, gender, _ = name.split(".")
        spoken = re.search(r"\b(he|she|they|his|her|their|him|them)\b", sentence, re.IGNORECASE)
        assert spoken is not None, name
        about = {"occupation": occupation, "participant": participant, "gender": gender, "label": int(answer)}
        rows.append({"sentid": name, "sentence": sentence, "pronoun": spoken[0], **about})
    pl.DataFrame(rows).write_parquet(folder / "sentences.parquet")
    home = Path(lm_eval.tasks.__path__[0])
    for task, include, data in (
        ("crows_pairs_english", home / "crows_pairs" / "crows_pairs_english.yaml", "pairs"),
        ("winogender_all", home / "winogender" / "winogender.yaml", "sentences"),
    ):
        files = {"data_files": {"test": str(folder / f"{data}.parquet")}}
        config = {"include": str(include), "task": task, "dataset_path": "parquet", "dataset_name": None}
        text = yaml.safe_dump({**config, "dataset_kwargs": files}, sort_keys=False)
        (folder / f"{task}.yaml").write_text(text, encoding="utf-8")


def write_logs(
    tasks: Path,
    names: Sequence[str],
    out: Path,
    model: str = "tiny-llama",
    seed: int | None = None,
    samples: bool = True,
) -> dict[str, Any]:
    """Evaluate a built-in model, and have the harness write its logs; returns the results that it reports."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    from evenhand.models.find import find_model
    from evenhand.tasks.harness.loading import quiet_harness

    seeds = (
        {}
        if seed is None
        else dict.fromkeys(("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed"), seed)
    )
    tracker = EvaluationTracker(output_path=str(out))
    with quiet_harness():
        results: Any = simple_evaluate(
            model="hf",
            model_args={"pretrained": str(find_model(model).folder), "dtype": "float32"},
            device="cpu",
            batch_size=16,
            tasks=list(names),
            task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
            evaluation_tracker=tracker,
            log_samples=True,
            bootstrap_iters=200,
            **seeds,
        )
        # From here on as lm_eval/_cli/run.py does.
        logged = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=logged)
        for task in results["configs"]:
            tracker.save_results_samples(task_name=task, samples=logged[task])
    return results


def main() -> None:
    """Write the logs that are kept, of two models, without the names of this machine."""
    tasks = HERE / "tasks"
    write_tasks(tasks, 24)
    shutil.rmtree(KEPT, ignore_errors=True)
    for model in ("tiny-llama", "tiny-mistral"):
        write_logs(tasks, TASKS, KEPT, model, seed=1)
    shutil.rmtree(tasks)
    for folder in list(KEPT.iterdir()):
        folder.rename(KEPT / folder.name.rpartition("__")[2])
    for file in KEPT.rglob("results_*.json"):
        results = json.loads(file.read_text(encoding="utf-8"))
        results.pop("pretty_env_info")  # it describes the machine
        results["model_name"] = results["model_name_sanitized"] = Path(results["model_name"]).name
        text = json.dumps(results, indent=1).replace(str(HERE), "tests").replace(str(Path.home()), "home")
        file.write_text(re.sub(r'"/[^"]*/(tiny-\w+)"', r'"\1"', text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1] / "src"))
    main()
