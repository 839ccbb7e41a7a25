"""Under what a trial was trained: versions and machine, as provenance; no part of its identity."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata

from evenhand.methods.method import Method
from evenhand.methods.private import Private
from evenhand.methods.quantized import QLoRA
from evenhand.plugins import declared
from evenhand.training import launch

PACKAGES = ("evenhand", "torch", "transformers", "peft", "tokenizers", "numpy", "polars")
"""That every trial is trained with."""

OWN: Mapping[type[Method], str] = {Private: "opacus", QLoRA: "bitsandbytes"}
"""The package that these methods are trained with besides."""

_EVERY = {"python", *PACKAGES, "device", "machine", "system", "threads", "processes"}
"""The keys of an environment that do not depend on the method."""


def environment(method: Method) -> dict[str, str]:
    """Python, the versions of what this method is trained with, and the machine."""
    own = {name: metadata.version(name) for kind, name in OWN.items() if isinstance(method, kind)}
    plugin = declared("methods").get(method.kind)
    return {**_shared(), **own, **({plugin.package: plugin.version} if plugin else {})}


def distinct(environments: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """The different ones among the environments of a study's trials, in the order of their texts.

    What only some methods are trained with makes no difference: where those agree on its version, it is everyone's.
    """
    known = [dict(one) for one in environments]
    for name in {name for one in known for name in one} - _EVERY:
        versions = {one[name] for one in known if name in one}
        if len(versions) == 1:
            known = [{**one, name: next(iter(versions))} for one in known]
    by_text = {json.dumps(one, sort_keys=True): one for one in known}
    return [by_text[text] for text in sorted(by_text)]


@cache
def _shared() -> Mapping[str, str]:
    import torch

    from evenhand.models.load import device

    where = device()
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else where.type,
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": str(torch.get_num_threads()),
        **({"processes": str(launch.place().processes)} if launch.place().shared else {}),
    }
