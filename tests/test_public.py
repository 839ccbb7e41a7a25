"""The public names."""

from __future__ import annotations

import subprocess
import sys

import evenhand
from evenhand.methods import METHODS


def test_every_public_name_is_there():
    for name in evenhand.__all__:
        assert callable(getattr(evenhand, name)), name


def test_every_method_has_a_public_name():
    assert {method.__name__ for method in METHODS.values()} <= set(evenhand.__all__)


def test_naming_a_method_loads_no_torch():
    code = "import sys, evenhand; evenhand.DPLoRA(epsilon=8.0); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
