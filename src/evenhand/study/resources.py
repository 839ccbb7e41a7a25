"""Defines what a trial may use (`resources:` in a study)."""

from __future__ import annotations

from pydantic import Field

from evenhand.spec import Spec


class ResourcesSpec(Spec):
    """What a trial may use. No part of a trial's identity: results do not depend on it.

    Attributes:
        minutes: the longest that a trial may take; then it fails with that reason, and the others go on. A pack of
            trials that are trained together may take so long for each of them. None: no limit.
    """

    minutes: float | None = Field(default=None, gt=0)
