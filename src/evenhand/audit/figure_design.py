"""The design of the figures that a study ends in beside its report."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from evenhand.spec import Spec


class Rank(Spec):
    """The rank of what a method learns beside a frozen base.

    Attributes:
        rank: 0 where the classification head is all that learns; below 1 a share of the layers, which have rank 1.
        layers: which layers a rank below 1 means.
    """

    rank: float
    layers: str | None = None


class Panel(Spec):
    """The content of one panel of a figure: a setting and its measures.

    Attributes:
        setting: its name.
        measures: a panel each (`groups`, `answers`, `probes`) or a row of panels each (`ranks`); none for the other
            kinds.
        attribute: whose groups; the setting's first unless given.
        of: of `calibration`: everyone, or the worst-calibrated group.
        methods: of `ranks`, `shares` and `answers`: which; all unless given. In `shares` the others are compared with
            the first, in `ranks` with the first that is a reference.
        title: of a panel of `shares`, or a row of `ranks` that shows everyone; the setting's name unless given.
    """

    setting: str
    measures: tuple[str, ...] = ()
    attribute: str | None = None
    of: Literal["everyone", "worst"] = "everyone"
    methods: tuple[str, ...] = ()
    title: str | None = None


class Figure(Spec):
    """A figure, such as one of a paper, that a study ends in beside its report.

    Attributes:
        name: of its files, `figures/NAME.png` and so on.
        kind: `groups`: measures by group and method; `calibration`: confidence histograms over reliability diagrams;
            `ranks`: measures by group (of translations, of everyone) over the rank of an update; `roc`: ROC curves of
            membership inference, of everyone and of each group, a row per setting; `shares`: which gender translations
            give, by method; `answers`: measures of answers to prompts, by method; `probes`: measures of probes over the
            layers of a model, of everything that was probed for.
        panels: in the order of reading.
        columns: panels in a row.
    """

    name: str = Field(pattern=r"^[\w.-]+$")
    kind: Literal["groups", "calibration", "ranks", "roc", "shares", "answers", "probes"]
    panels: tuple[Panel, ...] = Field(min_length=1)
    columns: int = Field(default=3, ge=1)

    @model_validator(mode="after")
    def _says_what_to_draw(self) -> Figure:
        for panel in self.panels:
            if bool(panel.measures) == (self.kind in ("calibration", "roc", "shares")):
                wrong = "measures mean nothing in" if panel.measures else "name the measures of the panels of"
                raise ValueError(f"figure.panels: {wrong} a figure of the kind {self.kind} (setting {panel.setting})")
        return self


def _listed(value: Any) -> Any:
    """Figures as a list, from None, one or several."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _named_apart(figures: tuple[Figure, ...]) -> tuple[Figure, ...]:
    names = [figure.name for figure in figures]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'figure: two figures have the name "{name}"; files are named so, and need one each')
    return figures


Figures = Annotated[tuple[Figure, ...], BeforeValidator(_listed), AfterValidator(_named_apart)]
"""None, one or several; one need not be in a list."""
