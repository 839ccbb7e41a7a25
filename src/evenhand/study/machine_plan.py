"""Predicts wall time and cost of a study on stated machines, by arithmetic; nothing runs on this machine.

Seconds of a trial are calculated in `machine_times.py`; here trials are scheduled on the machines and added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from evenhand.methods.private import Private
from evenhand.models.stated import find_or_state_model, is_stated
from evenhand.study.arithmetic import TrialSize
from evenhand.study.cost import forecast
from evenhand.study.execution import pending
from evenhand.study.expansion import Trial
from evenhand.study.machine_forecast import MachineForecast, MethodForecast
from evenhand.study.machine_times import IMAGE_SECONDS, TrialForecast, trial_forecast, utilisation
from evenhand.study.machines import Accelerator, Machines, Precision
from evenhand.study.plan import Plan, make_plan
from evenhand.study.schedule import ScheduledTrial, makespan
from evenhand.study.selection import assume_longest_candidates
from evenhand.study.spec import StudySpec
from evenhand.study.stated_costs import Sources
from evenhand.study.store import Store
from evenhand.study.trial_size import CHARACTERS_PER_TOKEN, SizeReader


def forecast_on(machines: Machines, study: StudySpec, data: Path | None, out: Path) -> tuple[Plan, MachineForecast]:
    """Plan a study for some machines and predict its wall time and cost there.

    Args:
        machines: from `parse_machines`.
        study: resolved.
        data: the folder of `--data`.
        out: the study's folder; nothing is written there.

    Raises:
        InputError: as `make_plan`.
    """
    planned = plan_on(machines.accelerator, study, data)
    return planned, forecast_plan(machines, planned, out)


def plan_on(accelerator: Accelerator, study: StudySpec, data: Path | None) -> Plan:
    """Plan a study as machines with this accelerator would.

    Base models and data of the presets that are not on this machine are stated (`evenhand.models.stated`,
    `evenhand.data.stated`). The precision `auto`
    is that of the accelerator, so trials that were trained on such machines count as complete.

    Raises:
        InputError: as `make_plan`.
    """
    return make_plan(_with_precision_of(accelerator, study), data, find_or_state_model, Sources().read)


def forecast_plan(machines: Machines, planned: Plan, out: Path, read: SizeReader | None = None) -> MachineForecast:
    """Predict wall time and cost of a plan on some machines.

    Args:
        machines: from `parse_machines`.
        planned: its concrete precisions are taken as they are.
        out: the study's folder; nothing is written there.
        read: has read sizes before; None: it starts anew.
    """
    assumed, _ = assume_longest_candidates(planned, Store(out))
    todo = pending(assumed, Store(out))
    read = read or SizeReader()
    decoded: set[tuple[str, str]] = set()
    sizes = {trial.hash: read(trial) for trial in todo}
    forecasts = {}
    for trial in todo:
        size = sizes[trial.hash]
        images = trial.setting.base.fingerprint, trial.setting.dataset.name
        decoding = IMAGE_SECONDS * size.images if images not in decoded else 0.0
        decoded.add(images)
        forecasts[trial.hash] = trial_forecast(
            size, machines, accelerators_of(trial), trial.resources.processes, decoding
        )
    wall, used = _scheduled(todo, forecasts, machines.count)
    return MachineForecast(
        machines=machines,
        listed=forecast(planned, out, timed=False, say=lambda _: None),
        methods=_by_method(todo, sizes, forecasts),
        wall_seconds=wall,
        accelerator_seconds=used,
        basis=_basis(todo, sizes, forecasts, machines),
    )


def accelerators_of(trial: Trial) -> float:
    """Return how many accelerators a trial gets: what its `resources: {gpus: }` says, else one."""
    return trial.resources.gpus or 1.0


def _with_precision_of(accelerator: Accelerator, study: StudySpec) -> StudySpec:
    """Return the study with `train.precision: auto` resolved for an accelerator, in methods' overrides, too."""
    settings = {}
    for name, setting in study.settings.items():
        methods = {}
        for method, values in setting.methods.items():
            train = values.get("train", {})
            precise = {"precision": accelerator.precision(train["precision"])} if "precision" in train else {}
            methods[method] = {**values, "train": {**train, **precise}} if precise else values
        train = setting.train.model_copy(update={"precision": accelerator.precision(setting.train.precision)})
        settings[name] = setting.model_copy(update={"train": train, "methods": methods})
    return study.model_copy(update={"settings": settings})


def _scheduled(todo: Sequence[Trial], forecasts: Mapping[str, TrialForecast], count: int) -> tuple[float, float]:
    """Return the wall time and the sum of accelerator-seconds of the trials that fit: candidates first, then the
    study's own, each after the one that it is matched to or compresses."""
    wall = used = 0.0
    for tuning in (True, False):
        part = [trial for trial in todo if (trial.role == "tuning") == tuning and forecasts[trial.hash].fits]
        place = {trial.hash: index for index, trial in enumerate(part)}
        jobs = [
            ScheduledTrial(
                forecasts[trial.hash].seconds,
                forecasts[trial.hash].accelerators,
                place.get(_waited_for(trial) or ""),
            )
            for trial in part
        ]
        wall += makespan(jobs, count)
        used += sum(job.seconds * job.accelerators for job in jobs)
    return wall, used


def _waited_for(trial: Trial) -> str | None:
    """Return the hash of the trial that has to be complete before this one; None if there is none."""
    if trial.uncompressed is not None:
        return trial.uncompressed.hash
    return None if trial.match is None else trial.match.trial


def _by_method(
    todo: Sequence[Trial], sizes: Mapping[str, TrialSize], forecasts: Mapping[str, TrialForecast]
) -> list[MethodForecast]:
    """Return the forecasts of trials, joined by setting, method and role."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for trial in todo:
        groups.setdefault((trial.setting.name, trial.method, trial.role), []).append(trial.hash)
    joined = []
    for (setting, method, role), hashes in groups.items():
        members = [forecasts[trial] for trial in hashes]
        at = max(hashes, key=lambda trial: forecasts[trial].memory)
        largest, shape = forecasts[at], sizes[at].shape
        joined.append(
            MethodForecast(
                setting=setting,
                method=method,
                role=role,
                trials=len(members),
                seconds=sum(one.seconds for one in members) / len(members),
                memory=largest.memory,
                passes=largest.batch if largest.batch < sizes[at].batch else None,
                accelerators=largest.accelerators,
                fits=all(one.fits for one in members),
                parameters=shape.parameters,
                trained=shape.trained,
            )
        )
    return joined


def _basis(
    todo: Sequence[Trial],
    sizes: Mapping[str, TrialSize],
    forecasts: Mapping[str, TrialForecast],
    machines: Machines,
) -> list[str]:
    """Return sentences on what a forecast rests on, and on what it leaves out."""
    if not todo:
        return []
    one = machines.accelerator
    widths: set[tuple[int, Precision]] = {
        (size.shape.layers[-1].width if size.shape.layers else 0, size.precision) for size in sizes.values()
    }
    shares = sorted({f"{utilisation(width, precision, one):.0%} in {precision}" for width, precision in widths})
    if one.measured is None:
        reached = f"trials are assumed to reach {', '.join(shares)} of the peak of one {one.name}"
        said = [f"Arithmetic, not measured: {reached}."]
    else:
        said = [f"Arithmetic at {one.measured:.0%} of the peak, measured on such a machine (docs/benchmarks.md)."]
    if one.bfloat16 is None and any(size.precision == "bfloat16" for size in sizes.values()):
        said.append(f"{one.name} has no bfloat16: the study's is emulated, at no more than the speed of float32.")
    stated = sorted({trial.setting.base.name for trial in todo if is_stated(trial.setting.base)})
    if stated:
        tokens = f", and {CHARACTERS_PER_TOKEN:g} characters taken as a token"
        text = any(trial.setting.base.modality == "text" for trial in todo if is_stated(trial.setting.base))
        said.append(f"Shape stated, not read{tokens * text}: {', '.join(stated)}.")
    for name in sorted({trial.setting.dataset.name for trial in todo if trial.setting.dataset.stated}):
        said.append(f"Size stated, not read: {name}; group sizes are unknown.")
    if machines.price == one.price:
        said.append("The price is an assumed list price; --price USD_PER_HOUR sets it.")
    sharded = sum(
        forecasts[trial.hash].fits and forecasts[trial.hash].accelerators > max(accelerators_of(trial), 1)
        for trial in todo
    )
    if sharded:
        said.append(
            f"{sharded} trials do not fit one {one.name} and are counted as sharded over several, which needs a launch "
            "with --use_fsdp (docs/distributed.md)."
        )
    large = sum(not forecast.fits for forecast in forecasts.values())
    if large:
        said.append(f"{large} trials do not fit {machines} and are left out of the sums.")
    if any(trial.probing or trial.benchmarks or trial.generations for trial in todo):
        said.append("Probes, benchmarks and continuations of prompts are not counted.")
    if any(isinstance(trial.spec, Private) for trial in todo):
        said.append("The gradients of single examples, which private methods need, are not counted.")
    return said
