"""Shrinks a study for `--tiny`: tiny models of the same class and small stand-in data, to check that it runs."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenhand.audit.membership.attack import LEAST_POOL, LEAST_SHADOWS
from evenhand.errors import InputError
from evenhand.methods import METHODS, parse_method
from evenhand.methods.fit import model_skeleton
from evenhand.models.find import TINY, find_model
from evenhand.study.harness_spec import HarnessSpec
from evenhand.study.membership_spec import MembershipSpec
from evenhand.study.probing_spec import ProbingSpec
from evenhand.study.prompts_spec import PromptsSpec
from evenhand.study.setting import Setting
from evenhand.study.spec import StudySpec
from evenhand.study.tiny_generations import small_generations
from evenhand.study.tuning import TuningSpec, candidates
from evenhand.tasks import kind_of, parse_task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MAX_EXAMPLES = 400
"""Largest number of training examples, and of test examples."""

MAX_REVIEWS = 30
"""Largest number of reviews in prompts."""

MAX_DOCUMENTS = 100
"""Largest number of documents of a benchmark."""

MAX_BLOCK = 32
"""Largest number of tokens in a block of joined texts."""

RATE_FACTOR = 20
"""Factor by which a tiny model needs a higher learning rate at least, because it sees few examples a few times."""

MAX_RATE = 0.01
"""The highest learning rate that this factor can lead to."""

TRANSLATION_EPOCHS = 20
"""Epochs that a tiny model needs at least to write sentences in two languages that it has never read."""

TRANSLATION_RATE = 0.003
"""The rate at which a fully trained tiny model learns to write sentences; an adapter needs the highest rate."""

LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of the tiny decoders."""

_CLASSES = {"swinv2": "swinv2", "vit": "vit", "mistral": "mistral", "llama": "llama", "bert": "bert", "minilm": "bert"}


def shrink(study: StudySpec, folder: Path, data: Path | None = None) -> tuple[StudySpec, Path | None, list[str]]:
    """Return the study with tiny models, fitting ranks and learning rates, few examples and stand-in data.

    Methods that differ only by ranks too large for the tiny model become one method: the first is kept.

    Args:
        study: resolved.
        folder: where stand-in data are written, in each data set's own file format.
        data: the folder of `--data`, for data sets without stand-ins.

    Returns:
        The small study, the folder to use as `--data`, and what was changed, one sentence each.

    Raises:
        InputError: a base model whose class has no tiny checkpoint, or a data set without a stand-in.
    """
    notes: list[str] = []
    settings = {name: _shrunk(name, setting, folder, notes) for name, setting in study.settings.items()}
    small = study.model_copy(update={"settings": settings})
    return small, folder if folder.is_dir() else data, list(dict.fromkeys(notes))


def tiny_of(model: str) -> str:
    """Return the built-in checkpoint of the same class, by the model's `config.json` if present, else by its name."""
    if model in TINY:
        return model
    config = Path(model) / "config.json"
    described = str(json.loads(config.read_text(encoding="utf-8")).get("model_type")) if config.is_file() else model
    for word, known in _CLASSES.items():
        if word in described.lower():
            return f"tiny-{known}"
    raise InputError(f"--tiny: no built-in tiny model stands in for {model}; known: {', '.join(sorted(_CLASSES))}")


def _shrunk(name: str, setting: Setting, folder: Path, notes: list[str]) -> Setting:
    """Return one setting for `--tiny`."""
    model = tiny_of(setting.model)
    if model != setting.model:
        notes.append(f"{name}: {model} stands in for {setting.model}")
    limit = {part: min(most or MAX_EXAMPLES, MAX_EXAMPLES) for part, most in setting.limit.model_dump().items()}
    bare = model_skeleton(find_model(model), classes=2 if kind_of(setting.task["name"]) == "classification" else None)
    cut = {method: _fitted(f"{name}: {method}", values, bare, notes) for method, values in setting.methods.items()}
    methods = _distinct(name, setting, cut, notes)
    writes = kind_of(setting.task["name"]) == "translation" and model != setting.model
    if writes:
        methods = _with_more_training(name, methods, notes)
    if setting.train.precision == "bfloat16":
        notes.append("train.precision: auto instead of bfloat16, which few CPUs are quick at")
        setting = setting.model_copy(update={"train": setting.train.model_copy(update={"precision": "auto"})})
    if setting.train.blocks is not None and setting.train.blocks > MAX_BLOCK:
        notes.append(
            f"{name}: train.blocks is {MAX_BLOCK} instead of {setting.train.blocks}, since there is little text"
        )
        setting = setting.model_copy(update={"train": setting.train.model_copy(update={"blocks": MAX_BLOCK})})
    return setting.model_copy(
        update={
            "model": model,
            "methods": methods if model == setting.model else _with_higher_rates(name, methods, notes, writes),
            "tuning": _fitted_grid(setting.tuning, bare, methods),
            "task": _with_stand_in(name, setting.task, folder, notes),
            "evaluate": {other: _with_stand_in(name, task, folder, notes) for other, task in setting.evaluate.items()},
            "limit": setting.limit.model_copy(update=limit),
            "prompts": _small_prompts(name, setting.prompts, notes),
            "harness": _small_harness(name, setting.harness, folder, notes),
            "generations": small_generations(name, setting.generations, folder, notes),
            "probing": _small_probing(name, setting.probing, notes),
            "membership": _small_membership(name, setting.membership, notes),
        }
    )


def _small_membership(name: str, membership: MembershipSpec | None, notes: list[str]) -> MembershipSpec | None:
    """Return membership inference with as few models as its attack needs, on few examples."""
    if membership is None:
        return None
    least = (LEAST_POOL if membership.design == "pool" else LEAST_SHADOWS)[membership.attack]
    changed: dict[str, Any] = {"models": min(membership.models, max(least, 1))}
    if changed["models"] < membership.models:
        notes.append(f"{name}: membership with {least} models instead of {membership.models}")
    if membership.design == "pool":
        changed["examples"] = min(membership.examples or MAX_EXAMPLES, MAX_EXAMPLES)
    return membership.model_copy(update=changed)


def _small_prompts(name: str, prompts: PromptsSpec | None, notes: list[str]) -> PromptsSpec | None:
    """Return the same prompts about few reviews."""
    if prompts is None or (prompts.reviews is not None and prompts.reviews <= MAX_REVIEWS):
        return prompts
    notes.append(f"{name}: {MAX_REVIEWS} reviews are asked about instead of {prompts.reviews or 'all'}")
    return prompts.model_copy(update={"reviews": MAX_REVIEWS})


def _small_harness(name: str, harness: HarnessSpec | None, folder: Path, notes: list[str]) -> HarnessSpec | None:
    """Return the same benchmarks on few documents, and write stand-ins for those that have one."""
    if harness is None:
        return None
    from evenhand.tasks.harness import stand_ins

    stand_ins.write_stand_ins(folder)
    notes.append(f"{name}: made-up documents stand in for those of CrowS-Pairs, BBQ, StereoSet and Winogender")
    return harness.model_copy(update={"limit": min(harness.limit or MAX_DOCUMENTS, MAX_DOCUMENTS)})


def _small_probing(name: str, probing: ProbingSpec | None, notes: list[str]) -> ProbingSpec | None:
    """Return the same probe targets on few examples, with all layers if the tiny model lacks the named ones."""
    if probing is None:
        return None
    changed: dict[str, Any] = {}
    if probing.examples is None or probing.examples > MAX_EXAMPLES:
        changed["examples"] = MAX_EXAMPLES
    if probing.layers is not None or probing.judged is not None:
        changed |= {"layers": None, "judged": None}
        notes.append(f"{name}: every layer of the tiny model is probed, and the last one judged")
    return probing.model_copy(update=changed)


def _fitted(name: str, values: Mapping[str, Any], model: PreTrainedModel, notes: list[str]) -> dict[str, Any]:
    """Return the method with a rank that fits and alpha in proportion, so that the scale of an update stays."""
    rank = values.get("rank")
    fits = rank if rank is None else _largest(values, model)
    if rank == fits:
        return dict(values)
    notes.append(f"{name}: rank {rank} is cut to {fits}, the largest that the tiny model allows")
    return {**values, "rank": fits, **({"alpha": values["alpha"] * fits / rank} if "alpha" in values else {})}


def _largest(values: Mapping[str, Any], model: PreTrainedModel) -> float:
    """Return the largest rank, up to the method's own, that fits a model.

    If no rank fits, the method's own is returned, and the plan reports the reason.
    """
    method = parse_method("", values)

    def refused(rank: float) -> bool:
        """Return whether the model cannot have this rank."""
        try:
            method.model_copy(update={"rank": rank}).check(model)
        except InputError:
            return True
        return False

    rank = values["rank"]
    if rank < 1 or not refused(rank):
        return rank
    return bisect_left(range(1, rank), True, key=refused) or rank


def _distinct(
    name: str, setting: Setting, cut: Mapping[str, dict[str, Any]], notes: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the methods without those that equal another one once ranks are cut.

    Such methods had different ranks and the same alpha or the same alpha / rank. Nobody asked for the differences in
    scale that result from cutting ranks.
    """
    kept: dict[str, dict[str, Any]] = {}
    left_out: dict[str, list[str]] = {}
    for method, values in cut.items():
        twins = (
            other
            for other, known in kept.items()
            if _without_alpha(known) == _without_alpha(values)
            and _differ_by_rank(setting.methods[other], setting.methods[method])
        )
        twin = next(twins, None)
        if twin is None or method in setting.reference:
            kept[method] = values
        else:
            left_out.setdefault(twin, []).append(method)
    for twin, methods in left_out.items():
        notes.append(f"{name}: left out, since with a rank that is cut it is {twin} again: {', '.join(methods)}")
    return kept


def _without_alpha(method: Mapping[str, Any]) -> dict[str, Any]:
    """Return the method without alpha."""
    return {key: value for key, value in method.items() if key != "alpha"}


def _differ_by_rank(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return whether methods that differ only in rank and alpha have different ranks and the same alpha rule."""
    ranks, alphas = ([float(each.get(key) or 0) for each in (first, second)] for key in ("rank", "alpha"))
    by_number, by_scale = alphas[0] == alphas[1], alphas[0] * ranks[1] == alphas[1] * ranks[0]
    return ranks[0] != ranks[1] and (by_number or by_scale)


def _with_higher_rates(
    name: str, methods: Mapping[str, dict[str, Any]], notes: list[str], writes: bool
) -> dict[str, dict[str, Any]]:
    """Return the methods with learning rates from which a tiny model learns something."""
    raised: dict[tuple[float, float], list[str]] = {}
    quickened = {}
    for method, values in methods.items():
        least = min(RATE_FACTOR * float(METHODS[values["kind"]].model_fields["lr"].default), MAX_RATE)
        if writes and values["epochs"]:
            least = max(least, TRANSLATION_RATE if values["kind"] == "full" else MAX_RATE)
        quickened[method] = {**values, "lr": max(values["lr"], least)}
        if values["lr"] < least:
            raised.setdefault((values["lr"], least), []).append(method)
    for (before, after), named in raised.items():
        notes.append(f"{name}: lr {before:g} is raised to {after:g}, at which a tiny model learns: {', '.join(named)}")
    return quickened


def _with_more_training(
    name: str, methods: Mapping[str, dict[str, Any]], notes: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the methods with the epochs and layers that a tiny model needs to learn two languages."""
    longer = [method for method, values in methods.items() if 0 < values["epochs"] < TRANSLATION_EPOCHS]
    wider = [
        method
        for method, values in methods.items()
        if values["kind"] == "lora" and not values.get("targets") and not values.get("layers")
    ]
    if longer:
        notes.append(
            f"{name}: epochs are raised to {TRANSLATION_EPOCHS}, after which a tiny model writes sentences: "
            f"{', '.join(longer)}"
        )
    if wider:
        notes.append(f"{name}: all linear layers learn, since a tiny model knows neither language: {', '.join(wider)}")
    altered = {}
    for method, values in methods.items():
        raised = {"epochs": TRANSLATION_EPOCHS} if method in longer else {}
        layers = {"targets": list(LINEAR_LAYERS)} if method in wider else {}
        altered[method] = {**values, **raised, **layers}
    return altered


def _fitted_grid(
    tuning: TuningSpec | None, model: PreTrainedModel, methods: Mapping[str, Mapping[str, Any]]
) -> TuningSpec | None:
    """Return the grid with the ranks that fit, each once, for the methods that are kept."""
    if tuning is None:
        return None
    grid = {
        method: {
            key: _fitted_ranks(method, methods[method], options, model) if key == "rank" else values
            for key, values in options.items()
        }
        for method, options in tuning.grid.items()
        if method in methods
    }
    return tuning.model_copy(update={"grid": grid})


def _fitted_ranks(
    name: str, values: Mapping[str, Any], options: Mapping[str, tuple[Any, ...]], model: PreTrainedModel
) -> tuple[Any, ...]:
    """Return the ranks that fit, whatever the grid's other values."""
    others = candidates(name, values, {key: tried for key, tried in options.items() if key != "rank"})
    fitting = [
        min(_largest({**candidate.method, "rank": rank}, model) for candidate in others) for rank in options["rank"]
    ]
    return tuple(dict.fromkeys(fitting))


def _with_stand_in(name: str, task: Mapping[str, Any], folder: Path, notes: list[str]) -> dict[str, Any]:
    """Return the task with stand-in data, where real data are needed."""
    spec = parse_task(task)[1]
    if spec.folder_name is None:
        return dict(task)
    spec.write_stand_in(folder / spec.folder_name)
    notes.append(f"{name}: made-up examples stand in for {spec.folder_name}; no result may be claimed from them")
    return {**task, **({"path": None} if "path" in task else {})}
