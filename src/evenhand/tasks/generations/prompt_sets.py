"""Reads sets of counterfactual prompts from YAML: templates with a slot that names groups of people in turn.

attribute: gender                                   the attribute whose groups are named
slot: person                                        the slot's name; `person` unless given
groups: {female: [the woman, Mary], male: [the man, James]}
templates: ["{person} works as a"]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field, field_validator, model_validator

from evenhand.data.dataset import Attribute, Dataset
from evenhand.errors import InputError, did_you_mean, shortened
from evenhand.spec import Spec
from evenhand.tasks.prompts.slots import slots_of
from evenhand.yaml_file import read_mapping

SPLIT = "generations"
"""The beginning of the `split` of a set's scores in records; the attribute follows."""

BUILT_IN = {path.stem: path for path in sorted((Path(__file__).parent / "built_in").glob("*.yaml"))}
"""The built-in sets by name."""


class PromptSet(Spec):
    """Prompts that differ only in the people whom they name.

    Attributes:
        attribute: whose groups are named.
        slot: name of the slot in the templates.
        groups: by group, the fillers of the slot; the same number for each group, so that all groups weigh the same in
            every template. Fillers in the same position are counterparts.
        templates: texts with the slot, which a model continues; each is a resampling unit.

    Example:
        >>> groups = {"a": ["Ada"], "b": ["Bob"]}
        >>> few = PromptSet(attribute="g", groups=groups, templates=["{person} is", "ask {person} to"])
        >>> [text for _, _, _, text in few.prompts()]
        ['Ada is', 'Bob is', 'Ask Ada to', 'Ask Bob to']
    """

    attribute: str = Field(min_length=1, pattern=r"^[^=&]+$")
    slot: str = Field(default="person", pattern=r"^\w+$")
    groups: Mapping[str, tuple[str, ...]]
    templates: tuple[str, ...]

    @field_validator("groups")
    @classmethod
    def _fillers(cls, value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Refuse groups that could not be compared: too few, of different sizes, or with a filler twice."""
        if len(value) < 2:
            raise ValueError(f"groups should name two groups or more, not {len(value)}")
        (first, wanted), *others = value.items()
        for group, fillers in others:
            if len(fillers) != len(wanted):
                raise ValueError(
                    f"groups.{group} has {len(fillers)} fillers and groups.{first} {len(wanted)}; every group should "
                    "have as many, so that each weighs the same in every template"
                )
        _different([filler for fillers in value.values() for filler in fillers], "groups", "filler")
        return value

    @model_validator(mode="after")
    def _slots(self) -> PromptSet:
        """Refuse templates without the slot, with another slot, or given twice."""
        if len(self.templates) < 2:
            raise ValueError(
                f"templates should be two or more, not {len(self.templates)}: they are what is resampled for intervals"
            )
        _different(self.templates, "templates", "template")
        for template in self.templates:
            names = slots_of(template)
            said = shortened(repr(template))
            if names.count(self.slot) != 1:
                times = "lacks the slot" if self.slot not in names else "has more than once the slot"
                raise ValueError(f"templates: {said} {times} {{{self.slot}}}; once would be right")
            if len(names) > 1:
                other = next(name for name in names if name != self.slot)
                raise ValueError(f"templates: {said} has the slot {{{other}}}; only {{{self.slot}}} is known here")
            if template != template.strip():
                raise ValueError(
                    f"templates: {said} begins or ends in a space; leave it out, since a model writes it itself"
                )
        return self

    def prompts(self) -> Iterator[tuple[int, str, int, str]]:
        """Yield each prompt: the template's number from 1, the group, the filler's number from 1, and the text.

        A prompt begins with a capital letter.
        """
        for number, template in enumerate(self.templates, 1):
            for group, fillers in self.groups.items():
                for index, filler in enumerate(fillers, 1):
                    text = template.format(**{self.slot: filler})
                    yield number, group, index, text[:1].upper() + text[1:]


def _different(texts: Sequence[str], where: str, what: str) -> None:
    """Raise ValueError if a text is empty or given twice, whatever its capitals."""
    seen: set[str] = set()
    for text in texts:
        if not text.strip():
            raise ValueError(f"{where}: a {what} is empty; leave it out")
        plain = " ".join(text.split()).casefold()
        if plain in seen:
            raise ValueError(f"{where}: the {what} {shortened(repr(text))} is given twice; leave one of them out")
        seen.add(plain)


def read_prompt_set(name: str, below: Path | None = None) -> PromptSet:
    """Return a built-in set, or the one in a YAML file; a relative path is searched below the given folder first.

    Raises:
        InputError: there is no such set or file, or it is not one of prompts.
    """
    path = BUILT_IN.get(name)
    if path is None:
        given = Path(name).expanduser()
        path = below / given if below is not None and (below / given).is_file() else given
    if not path.is_file():
        raise InputError(
            f'generations.prompts: there is no file "{name}" and no built-in set of this name; '
            f"{did_you_mean(name, BUILT_IN)}"
        )
    where = f"generations.prompts: {path.name if name in BUILT_IN else name}"
    return PromptSet.parse(read_mapping(path, "with attribute, groups and templates"), where)


def prompt_examples(prompts: PromptSet, samples: int = 1) -> Dataset:
    """Return the prompts of a set as examples, each once for every continuation that is written after it.

    Args:
        prompts: the set.
        samples: continuations of a prompt.

    Returns:
        Prompts as inputs, with their groups; the units are templates.

    Example:
        >>> groups = {"a": ["Ada"], "b": ["Bob"]}
        >>> few = PromptSet(attribute="g", groups=groups, templates=["{person} is", "ask {person} to"])
        >>> prompt_examples(few).example.tolist()[:2], prompt_examples(few).inputs[3]
        (['generations/g/1/a/1', 'generations/g/1/b/1'], 'Ask Bob to')
    """
    rows = [
        (group, text, f"{split_of(prompts)}/{number}", f"{group}/{index}" + (f"#{sample}" if samples > 1 else ""))
        for number, group, index, text in prompts.prompts()
        for sample in range(1, samples + 1)
    ]
    return Dataset(
        name=split_of(prompts),
        modality="text",
        inputs=[text for _, text, _, _ in rows],
        labels=np.zeros(len(rows), dtype=np.int64),
        classes=(),
        example=np.array([f"{unit}/{place}" for _, _, unit, place in rows], dtype=object),
        attributes={prompts.attribute: Attribute.from_values([group for group, _, _, _ in rows])},
        unit=np.array([unit for _, _, unit, _ in rows], dtype=object),
    )


def split_of(prompts: PromptSet) -> str:
    """Return the `split` of a set's scores in records, with which the ids of its prompts begin, too."""
    return f"{SPLIT}/{prompts.attribute}"
