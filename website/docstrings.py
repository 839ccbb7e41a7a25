"""Prepares docstrings for the API reference."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Renames `Example:` to what griffe calls the section, `Examples:`; else `>>>` would be read as quotations.

    Docstrings of modules are left out: they are for readers of the code, and pages have openings of their own.
    """

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change one object's docstring."""
        del kwargs
        if obj.is_module:
            obj.docstring = None
        elif obj.docstring:
            obj.docstring.value = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
