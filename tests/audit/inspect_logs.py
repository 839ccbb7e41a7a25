"""Has Inspect evaluate a scripted model on a small task, and write its logs.

`python tests/audit/inspect_logs.py` writes the logs in `harness_logs/inspect` again.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEPT = HERE / "harness_logs" / "inspect"
"""The logs that tests read where Inspect is not installed."""


def write_log(
    folder: Path,
    *,
    right: float = 0.8,
    seed: int = 1,
    epochs: int = 1,
    reducer: str | Sequence[str] | None = None,
    samples: int = 24,
    kind: str = "eval",
    name: str = "sums",
    unscored: Sequence[int] = (),
) -> Any:
    """Evaluate the scripted model; returns the log as Inspect has it in memory.

    Args:
        folder: of the log.
        right: how often the model is right with odd samples, and .2 less with even ones.
        seed: of the model.
        epochs, reducer: of the task.
        samples: how many.
        kind: `eval` or `json`.
        name: of the task.
        unscored: samples that the scorer `length` leaves without a score.
    """
    from inspect_ai import Epochs, Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import Score, accuracy, match, mean, scorer, std, stderr
    from inspect_ai.solver import generate

    @scorer(metrics=[mean(), stderr(cluster="template"), std()])
    def length():
        async def score(state: Any, target: Any) -> Score:
            number = int(str(state.input_text).partition("+")[0])
            return Score(value=float("nan") if number in unscored else len(state.output.completion) * 0.75)

        return score

    @scorer(metrics={"tone": [mean()], "polite": [accuracy(), stderr()]})
    def graded():
        async def score(state: Any, target: Any) -> Score:
            number = len(state.output.completion) + int(str(state.input_text).partition("+")[0])
            return Score(value={"tone": number % 3, "polite": "CPIN"[number % 4]})

        return score

    rng = random.Random(seed)

    def answered(messages: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
        number = int(messages[-1].text.partition("+")[0])
        guess = 2 * number if rng.random() < right - 0.2 * (number % 2 == 0) else 2 * number + rng.randint(1, 300)
        output = ModelOutput.from_content("mockllm/model", str(guess))
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else it is counted, by a download
        return output

    asked = [
        Sample(
            id=f"sum-{n}",
            input=f"{n}+{n}=",
            target=str(2 * n),
            metadata={"gender": ("f", "m")[n % 2], "template": n // 4, "about": {"kind": "xyz"[n % 3]}},
        )
        for n in range(samples)
    ]
    task = Task(
        name=name,
        dataset=MemoryDataset(asked),
        solver=generate(),
        scorer=[match(numeric=True), length(), graded()],
        epochs=Epochs(epochs, reducer) if epochs > 1 or reducer else None,
    )
    model = get_model("mockllm/model", custom_outputs=answered, memoize=False)
    (log,) = eval(
        task, model=model, log_format=kind, log_dir=str(folder), display="none", score_display=False, max_connections=1
    )
    assert log.status == "success", log.error
    return log


def main() -> None:
    """Write the logs that are kept, in both formats, without the names of this machine."""
    shutil.rmtree(KEPT, ignore_errors=True)
    for kind, more in (("eval", {}), ("json", {}), ("json", {"epochs": 2, "reducer": ["mean", "mode"]})):
        log = write_log(KEPT, kind=kind, samples=24 if kind == "eval" else 12, **more)
        file = Path(log.location)
        file.rename(file.with_name(f"2026-01-01T00-00-00_sums_{kind}{'_epochs' if more else ''}.{kind}"))
    for file in KEPT.glob("*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        for sample in content["samples"]:  # nobody reads these, and they are long
            for key in ("events", "events_data", "messages", "output", "timelines"):
                sample.pop(key, None)
        file.write_text(json.dumps(content, indent=1), encoding="utf-8")
        assert not re.search(r'"(/home|/root|/tmp)/', file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
