"""Lists accelerators with their speeds, memory and prices, and reads the value of `--on`, such as `8xH100`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from evenhand.errors import InputError, did_you_mean

Precision = Literal["float32", "bfloat16"]

MOST = 100_000
"""The largest count of accelerators that `--on` takes."""


@dataclass(frozen=True)
class Accelerator:
    """One accelerator, by its maker's data sheet.

    Attributes:
        name: as `--on` names it.
        bfloat16: peak dense bfloat16 operations per second, without sparsity; None: no native support.
        float32: peak float32 operations per second without tensor cores, which trials do not use for float32
            (`evenhand.training.loop.reproducible`).
        memory: bytes.
        bandwidth: bytes per second that it reads from its memory.
        price: USD per hour, an assumption; `--price` replaces it.
        measured: the share of the peak that training steps reach, measured on such a machine; None: never measured.
    """

    name: str
    bfloat16: float | None
    float32: float
    memory: float
    bandwidth: float
    price: float
    measured: float | None = None

    def precision(self, wanted: Literal["auto", "float32", "bfloat16"]) -> Precision:
        """Return the concrete precision of `train.precision` on this accelerator, as on a machine that has it."""
        if wanted != "auto":
            return wanted
        return "float32" if self.bfloat16 is None else "bfloat16"

    def peak(self, precision: Precision) -> float:
        """Return the peak operations per second; those of float32 where bfloat16 is not native."""
        return self.float32 if precision == "float32" or self.bfloat16 is None else self.bfloat16


def _accelerators(*rows: Accelerator) -> Mapping[str, Accelerator]:
    """Return accelerators by name."""
    return {row.name: row for row in rows}


# Speeds, memory and bandwidth: NVIDIA's data sheets (SXM boards; dense, so half of what is quoted "with sparsity").
# Prices: assumptions near the middle of public on-demand list prices (aimultiple.com/gpu-index of May 2026: a median
# of 2.95 for the H100 over 37 providers; A10G and T4: AWS; L4: Google Cloud). They differ by a factor of two or three
# between clouds and change every few months.
ACCELERATORS = _accelerators(
    Accelerator("H200", 989e12, 67e12, 141e9, 4800e9, 3.80),
    Accelerator("H100", 989e12, 67e12, 80e9, 3350e9, 3.00),
    Accelerator("A100-80GB", 312e12, 19.5e12, 80e9, 2039e9, 1.80),
    Accelerator("A100-40GB", 312e12, 19.5e12, 40e9, 1555e9, 1.30),
    Accelerator("L4", 121e12, 30.3e12, 24e9, 300e9, 0.70),
    Accelerator("A10G", 70e12, 31.2e12, 24e9, 600e9, 1.00),
    Accelerator("RTX-4090", 165e12, 82.6e12, 24e9, 1008e9, 0.50),
    Accelerator("V100-32GB", None, 15.7e12, 32e9, 900e9, 0.60),
    Accelerator("V100-16GB", None, 15.7e12, 16e9, 900e9, 0.55),
    Accelerator("T4", None, 8.1e12, 16e9, 320e9, 0.53),
    # Two virtual cores (x86-64, AVX-512). The speed is that of plain products and the share is that of full
    # fine-tuning, both measured by benchmarks/roofline.py (docs/benchmarks.md, "How much of the machine a step
    # uses"). Memory is that machine's; bandwidth and price are assumptions.
    Accelerator("CPU-2", None, 210e9, 24e9, 20e9, 0.10, measured=0.77),
)
"""Accelerators by the name that `--on` takes."""


@dataclass(frozen=True)
class Machines:
    """A number of equal accelerators.

    Attributes:
        accelerator: their kind.
        count: how many there are.
        price: USD per hour of one.
    """

    accelerator: Accelerator
    count: int
    price: float

    def __str__(self) -> str:
        """Return the value of `--on` that names them."""
        return f"{self.count}x{self.accelerator.name}"


def parse_machines(text: str, price: float | None = None) -> Machines:
    """Return the machines that a text such as `8xH100` names; a name alone is one accelerator.

    Args:
        text: a count, `x` and a name of `ACCELERATORS`; capitals, spaces and hyphens of the name do not matter.
        price: USD per hour of one accelerator; None: the assumed list price.

    Raises:
        InputError: an unknown name, more than one kind, or a count below 1 or above `MOST`.

    Example:
        >>> machines = parse_machines("2 x a100 80gb")
        >>> str(machines), machines.price
        ('2xA100-80GB', 1.8)
    """
    if re.search(r"[+,;]", text):
        raise InputError(f'--on takes one kind of accelerator, such as 8xH100, not "{text}"; plan for each by itself')
    matched = re.fullmatch(r"\s*(?:(\d{1,9})\s*[x×*]\s*)?(.*?)\s*", text, re.DOTALL)
    assert matched is not None
    count, name = int(matched[1] or 1), matched[2]
    by_plain_name = {_plain(known): accelerator for known, accelerator in ACCELERATORS.items()}
    accelerator = by_plain_name.get(_plain(name))
    if accelerator is None:
        sizes = [known for known in ACCELERATORS if name and _plain(known).startswith(_plain(name))]
        hint = f"write {' or '.join(sizes)}" if len(sizes) > 1 else did_you_mean(name, ACCELERATORS)
        raise InputError(f'--on knows no accelerator "{name}"; {hint}')
    if not 1 <= count <= MOST:
        raise InputError(f"--on takes from 1 to {MOST:,} accelerators, not {count:,}")
    return Machines(accelerator, count, accelerator.price if price is None else price)


def _plain(name: str) -> str:
    """Return a name without capitals, spaces and hyphens."""
    return re.sub(r"[\s_-]", "", name).lower()
