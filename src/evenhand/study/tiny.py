"""`--tiny`: the same study with tiny models of the same class and small stand-in data, to see that it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evenhand.errors import InputError
from evenhand.study.spec import Setting, Study

ASSETS = Path(__file__).parent.parent / "assets"
_CLASSES = {"swinv2": "swinv2", "vit": "vit", "mistral": "mistral", "llama": "llama", "bert": "bert", "minilm": "bert"}
TRAIN = 400
"""Training examples at most."""


def shrink(study: Study, folder: Path) -> tuple[Study, Path, list[str]]:
    """The study with tiny models, ranks that fit them, few examples, and stand-in data where real data are needed.

    Args:
        study: resolved.
        folder: where stand-in data are written, in each data set's own file format.

    Returns:
        The small study, the folder to use as `--data`, and what was changed, one sentence each.

    Raises:
        InputError: a base model whose class has no tiny checkpoint.
    """
    said: list[str] = []
    settings = {name: _shrunk(name, setting, folder, said) for name, setting in study.settings.items()}
    return study.model_copy(update={"settings": settings}), folder, said


def _shrunk(name: str, setting: Setting, folder: Path, said: list[str]) -> Setting:
    model = tiny_of(setting.model)
    hidden = int(json.loads((ASSETS / model / "config.json").read_text(encoding="utf-8")).get("hidden_size", 64))
    said.append(f"{name}: {model} stands in for {setting.model}")
    methods = {}
    for method, values in setting.methods.items():
        rank = values.get("rank")
        if rank is not None and rank > hidden:
            said.append(f"{name}: rank {rank} of {method} is cut to the hidden size {hidden}")
            values = {**values, "rank": hidden}
        methods[method] = values
    spec = setting.data_spec()
    if spec.folder_name is not None:
        spec.write_stand_in(folder / spec.folder_name)
        said.append(f"{name}: made-up examples stand in for {spec.folder_name}; no result may be claimed from them")
    task: dict[str, Any] = {**setting.task}
    if spec.folder_name is not None and "path" in task:
        task["path"] = None
    limit = setting.limit.model_copy(update={"train": min(setting.limit.train or TRAIN, TRAIN)})
    return setting.model_copy(update={"model": model, "methods": methods, "task": task, "limit": limit})


def tiny_of(model: str) -> str:
    """The built-in checkpoint of the same class: from `config.json` where the model is here, else from its name."""
    if (ASSETS / model).is_dir():
        return model
    config = Path(model) / "config.json"
    described = json.loads(config.read_text(encoding="utf-8"))["model_type"] if config.is_file() else model
    for word, known in _CLASSES.items():
        if word in described.lower():
            return f"tiny-{known}"
    raise InputError(f"--tiny: no built-in tiny model stands in for {model}; there are: {', '.join(sorted(_CLASSES))}")
