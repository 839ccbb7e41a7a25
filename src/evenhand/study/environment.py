"""Records the package versions and the machine that a trial was trained with; no part of its identity."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata

from evenhand.methods.method import Method
from evenhand.methods.private import Private
from evenhand.methods.quantized import QLoRA
from evenhand.methods.rounded import Rounded
from evenhand.plugins import declared
from evenhand.training import launch

PACKAGES = ("evenhand", "torch", "transformers", "peft", "tokenizers", "numpy", "polars")
"""The packages that every trial is trained with."""

METHOD_PACKAGES: Mapping[type[Method], str] = {Private: "opacus", QLoRA: "bitsandbytes"}
"""The additional package that these methods are trained with."""

_SHARED_KEYS = {"python", *PACKAGES, "device", "machine", "system", "processes"}
"""The keys of an environment that do not depend on the method."""


def training_environment(method: Method) -> dict[str, str]:
    """Return Python's version, those of the packages that this method trains with, and the machine."""
    of_method = {name: metadata.version(name) for kind, name in METHOD_PACKAGES.items() if isinstance(method, kind)}
    if isinstance(method, Rounded) and method.format != "int8":
        of_method["bitsandbytes"] = metadata.version("bitsandbytes")
    plugin = declared("methods").get(method.kind)
    return {**_shared(), **of_method, **({plugin.package: plugin.version} if plugin else {})}


def distinct_environments(environments: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return the different environments among those of a study's trials, sorted by their text.

    A package that only some methods use makes no difference: if these methods agree on its version, it applies to all.
    """
    known = [dict(environment) for environment in environments]
    for name in {name for environment in known for name in environment} - _SHARED_KEYS:
        versions = {environment[name] for environment in known if name in environment}
        if len(versions) == 1:
            known = [{**environment, name: next(iter(versions))} for environment in known]
    by_text = {json.dumps(environment, sort_keys=True): environment for environment in known}
    return [by_text[text] for text in sorted(by_text)]


@cache
def _shared() -> Mapping[str, str]:
    """Return the part of the environment that does not depend on the method."""
    import torch

    from evenhand.models.load import device

    where = device()
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else where.type,
        "machine": platform.machine(),
        "system": platform.system(),
        **({"processes": str(launch.this_process().processes)} if launch.this_process().shared else {}),
    }
