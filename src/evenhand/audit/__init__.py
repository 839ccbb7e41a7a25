"""Audits: estimates, contrasts and verdicts from record tables. Never imports torch.

The package is also the function `evenhand.audit(frame, label=…, …)`: see `evenhand.audit.ingest.table.audit`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Audit(ModuleType):
    # Importing any room of this package binds `evenhand.audit` to it, and hides the function of that name.
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Audit a table of predictions: `evenhand.audit.ingest.table.audit`."""
        from evenhand.audit.ingest.table import audit

        return audit(*arguments, **options)


sys.modules[__name__].__class__ = _Audit
