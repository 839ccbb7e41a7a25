"""`--tiny`: the same study with tiny models of the same class and small stand-in data, to see that it runs."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from evenhand.errors import InputError
from evenhand.methods import METHODS
from evenhand.models.find import ASSETS, TINY
from evenhand.study.setting import Setting
from evenhand.study.spec import Study
from evenhand.study.tuning import TuningSpec
from evenhand.tasks import parse_task

EXAMPLES = 400
"""Training examples, and test examples, at most."""

QUICKER = 20
"""How many times a method's usual learning rate a tiny model needs at least, which sees few examples a few times."""

FASTEST = 0.01
"""The highest rate that is asked for so."""

_CLASSES = {"swinv2": "swinv2", "vit": "vit", "mistral": "mistral", "llama": "llama", "bert": "bert", "minilm": "bert"}


def shrink(study: Study, folder: Path, data: Path | None = None) -> tuple[Study, Path | None, list[str]]:
    """The study with tiny models, ranks and learning rates that fit them, few examples, and stand-in data where real
    data are needed. Methods that differ by ranks too large for the tiny model are one method: the first is kept.

    Args:
        study: resolved.
        folder: where stand-in data are written, in each data set's own file format.
        data: the folder of `--data`, for data sets that have their examples at hand.

    Returns:
        The small study, the folder to use as `--data`, and what was changed, one sentence each.

    Raises:
        InputError: a base model whose class has no tiny checkpoint, or a data set without a stand-in.
    """
    said: list[str] = []
    settings = {name: _shrunk(name, setting, folder, said) for name, setting in study.settings.items()}
    small = study.model_copy(update={"settings": settings})
    return small, folder if folder.is_dir() else data, list(dict.fromkeys(said))


def tiny_of(model: str) -> str:
    """The built-in checkpoint of the same class: from `config.json` where the model is here, else from its name."""
    if model in TINY:
        return model
    config = Path(model) / "config.json"
    described = str(json.loads(config.read_text(encoding="utf-8")).get("model_type")) if config.is_file() else model
    for word, known in _CLASSES.items():
        if word in described.lower():
            return f"tiny-{known}"
    raise InputError(f"--tiny: no built-in tiny model stands in for {model}; there are: {', '.join(sorted(_CLASSES))}")


def _shrunk(name: str, setting: Setting, folder: Path, said: list[str]) -> Setting:
    model = tiny_of(setting.model)
    if model != setting.model:
        said.append(f"{name}: {model} stands in for {setting.model}")
    limit = {part: min(most or EXAMPLES, EXAMPLES) for part, most in setting.limit.model_dump().items()}
    width = _width(model)
    cut = {method: _fitted(f"{name}: {method}", values, width, said) for method, values in setting.methods.items()}
    methods = _distinct(name, setting, cut, said)
    if setting.train.precision == "bfloat16":
        said.append("train.precision: auto instead of bfloat16, which few CPUs are quick at")
        setting = setting.model_copy(update={"train": setting.train.model_copy(update={"precision": "auto"})})
    return setting.model_copy(
        update={
            "model": model,
            "methods": {method: _quickened(method, values, said) for method, values in methods.items()},
            "tuning": _fitted_grid(setting.tuning, width, methods),
            "task": _stood_in(name, setting.task, folder, said),
            "evaluate": {other: _stood_in(name, task, folder, said) for other, task in setting.evaluate.items()},
            "limit": setting.limit.model_copy(update=limit),
        }
    )


def _width(model: str) -> int:
    """The size of the tiny model's narrowest layers, which bounds the rank of an update."""
    config = json.loads((ASSETS / model / "config.json").read_text(encoding="utf-8"))
    return int(config.get("embed_dim", config["hidden_size"]))


def _fitted(name: str, method: Mapping[str, Any], width: int, said: list[str]) -> dict[str, Any]:
    """The method with a rank that fits, and alpha in proportion, so that the scale of an update stays."""
    rank = method.get("rank")
    if rank is None or rank <= width:
        return dict(method)
    said.append(f"{name}: rank {rank} is cut to {width}, the width of the tiny model")
    return {**method, "rank": width, **({"alpha": method["alpha"] * width / rank} if "alpha" in method else {})}


def _distinct(
    name: str, setting: Setting, cut: Mapping[str, dict[str, Any]], said: list[str]
) -> dict[str, dict[str, Any]]:
    """The methods without those that, once ranks are cut, differ from another by the scale of their update at most."""
    kept: dict[str, dict[str, Any]] = {}
    for method, values in cut.items():
        rest = {key: value for key, value in values.items() if key != "alpha"}
        twins = (
            other
            for other, known in kept.items()
            if rest == {key: value for key, value in known.items() if key != "alpha"}
            and setting.methods[other].get("rank") != setting.methods[method].get("rank")
        )
        twin = next(twins, None)
        if twin is None or method in setting.reference:
            kept[method] = values
        else:
            said.append(f"{name}: {method} is left out: with its rank cut it is {twin} again")
    return kept


def _quickened(name: str, method: Mapping[str, Any], said: list[str]) -> dict[str, Any]:
    """The method at a learning rate from which a tiny model learns something."""
    least = min(QUICKER * float(METHODS[method["kind"]].model_fields["lr"].default), FASTEST)
    if method["lr"] >= least:
        return dict(method)
    said.append(f"{name}: lr {method['lr']:g} is raised to {least:g}: a tiny model learns nothing at less")
    return {**method, "lr": least}


def _fitted_grid(tuning: TuningSpec | None, width: int, methods: Container[str]) -> TuningSpec | None:
    """The ranks of a grid that fit, each once, for the methods that are kept."""
    if tuning is None:
        return None
    grid = {
        method: {
            key: tuple(dict.fromkeys(min(value, width) for value in values)) if key == "rank" else values
            for key, values in options.items()
        }
        for method, options in tuning.grid.items()
        if method in methods
    }
    return tuning.model_copy(update={"grid": grid})


def _stood_in(name: str, task: Mapping[str, Any], folder: Path, said: list[str]) -> dict[str, Any]:
    spec = parse_task(task)[1]
    if spec.folder_name is None:
        return dict(task)
    spec.write_stand_in(folder / spec.folder_name)
    said.append(f"{name}: made-up examples stand in for {spec.folder_name}; no result may be claimed from them")
    return {**task, **({"path": None} if "path" in task else {})}
