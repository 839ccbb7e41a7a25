"""Keeps the margins that earlier audits in a folder declared, so that a change of them is seen."""

from __future__ import annotations

from pathlib import Path

from evenhand.audit import results_folder
from evenhand.audit.design import Design
from evenhand.errors import InputError


def with_earlier_margins(design: Design, out: Path) -> Design:
    """The design with the margins that earlier audits in this folder declared before.

    Raises:
        InputError: the folder holds a study.
    """
    if (out / "study.yaml").exists():
        raise InputError(f"{out} holds a study; choose another folder for the audit")
    if not (out / "design.json").is_file():
        return design
    history = results_folder.load_saved(out).design.margin_history
    if history and design.margin_history and history[-1].margins == design.margins:
        return design.model_copy(update={"margin_history": history})
    return design.model_copy(update={"margin_history": (*history, *design.margin_history)})
