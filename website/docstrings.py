"""Prepares docstrings for the API reference: `Example:` is read as what griffe calls the section `Examples`."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Renames the heading before griffe parses a docstring; otherwise `>>>` would be read as quotations."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rename the heading of one object's docstring."""
        del kwargs
        if obj.docstring:
            obj.docstring.value = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
