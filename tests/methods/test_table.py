"""The table of docs/methods.md is what the methods do. `python tests/methods/test_table.py` writes it anew."""

from __future__ import annotations

from pathlib import Path

import torch

from evenhand.errors import InputError
from evenhand.methods import METHODS, LoRA, Wanda, parse_method
from evenhand.methods.language import check_is_generative
from evenhand.models.find import TINY, find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_classifier
from evenhand.tasks.classification import count_parameters

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
START, END = "<!-- table -->\n", "<!-- /table -->\n"
ELSEWHERE = ("dp_full", "dp_lora")
LANGUAGE = ("tiny-llama", "tiny-mistral")


def cell(kind: str, name: str, reasons: list[str], language: bool = False) -> str:
    """What learns, or `no` with the number of the reason."""
    method, base = parse_method(kind, {"kind": kind}), find_model(name)
    if kind == "qlora":
        method = LoRA()  # the same parameters, on every machine
    model = load_language_model(base) if language else load_classifier(base, ("no", "yes"), 0)
    try:
        if language:
            check_is_generative(method)
        method.check(model)
    except InputError as error:
        said = str(error).removeprefix(f"{kind}: ")
        said = f"`{kind}`: {said}"
        if said not in reasons:
            reasons.append(said)
        return f"no ({reasons.index(said) + 1})"
    learning = method.apply(model, 0)
    if isinstance(method, Wanda):
        given = torch.ones(1, 4, dtype=torch.int64) if base.modality == "text" else torch.ones(1, 3, 32, 32)
        method.prune(model, [{model.main_input_name: given}])
    count, total = count_parameters(learning)
    return f"{count:,} ({100 * count / total:.1f}%)"


def table() -> str:
    """The table and the reasons below it."""
    reasons: list[str] = []
    columns = [*TINY, *(f"{name}, language model" for name in LANGUAGE)]
    lines = [f"| kind | what learns | {' | '.join(columns)} |", "|---|---|" + "---:|" * len(columns)]
    for kind, method in METHODS.items():
        if kind not in ELSEWHERE:
            cells = [cell(kind, name, reasons) for name in TINY]
            cells += [cell(kind, name, reasons, language=True) for name in LANGUAGE]
            lines.append(f"| `{kind}` | {method.summary} | {' | '.join(cells)} |")
    lines += ["", *(f"{place}. {reason}" for place, reason in enumerate(reasons, 1))]
    return "\n".join(lines) + "\n"


def test_the_page_shows_what_the_methods_do():
    page = PAGE.read_text(encoding="utf-8")
    written = page[page.index(START) + len(START) : page.index(END)]
    assert written == table(), "run python tests/methods/test_table.py"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    before, after = page[: page.index(START) + len(START)], page[page.index(END) :]
    PAGE.write_text(before + table() + after, encoding="utf-8")
