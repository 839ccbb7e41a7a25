"""Makes synthetic test data, drawn faces and short posts, into which unfairness can be planted.

Without options the data have no disparity: each group has as many positive as negative labels and the same share of
ambiguous examples, and groups do not affect the features that determine the label. Three options plant a disparity:
group sizes, label noise in a group, and a shortcut, a feature that reveals the label in one group and is a coin toss
in the others. As options of the task they alter the data, including test examples; under a method's `data:` they alter
only that method's training examples.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from evenhand.data import drawings, phrases
from evenhand.data.dataset import Attribute, Dataset, DataSpec, Modality, TrainingExamples
from evenhand.errors import InputError, did_you_mean
from evenhand.seeds import generator

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, eq=False)
class ExamplePlan:
    """Group, label and features of every example, before it is drawn or written.

    Attributes:
        group: int [n], codes into the data set's groups.
        truth: bool [n], positive or not; half of each group is positive.
        looks: bool [n], whether the drawing or the post looks positive: equals the truth except for ambiguous examples.
        labels: int64 [n], the truth after label noise.
        cue: bool [n], the feature that reveals the label under a shortcut; otherwise true for half of each group and
            label.
    """

    group: np.ndarray
    truth: np.ndarray
    looks: np.ndarray
    labels: np.ndarray
    cue: np.ndarray


class Synthetic(DataSpec):
    """Base class of the built-in data sets: four groups of unequal size, and the knobs.

    Attributes:
        n: number of examples.
        sizes: shares of groups. Groups that are not named divide the rest in their usual proportions.
        ambiguity: share of every group, and of both its classes, that looks like the other class, so that no model is
            perfect.
        noise: share of a group's labels that is wrong, both in training and in test examples.
        shortcut: share of a group's examples whose cue reveals the label; the cue of all others is a coin toss.
        seed: seed of the examples. They are the same for every trial, whatever its seed.
    """

    named: ClassVar[str]
    modality: ClassVar[Modality]
    classes: ClassVar[tuple[str, str]]
    attribute: ClassVar[str]
    usual_sizes: ClassVar[Mapping[str, float]]

    n: int = Field(default=2400, ge=40)
    sizes: Mapping[str, Share] = Field(default_factory=dict)
    ambiguity: Share = 0.1
    noise: Mapping[str, Share] = Field(default_factory=dict)
    shortcut: Mapping[str, Share] = Field(default_factory=dict)
    seed: int = 0

    @field_validator("sizes", "noise", "shortcut")
    @classmethod
    def _known(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        """Refuse unknown groups."""
        for group in value:
            if group not in cls.usual_sizes:
                raise ValueError(f'{cls.named} has no group "{group}"; {did_you_mean(group, cls.usual_sizes)}')
        return value

    @field_validator("sizes")
    @classmethod
    def _add_up(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        """Refuse sizes that do not add up to 1."""
        total = sum(value.values())
        if total > 1 + 1e-9 or (len(value) == len(cls.usual_sizes) and total < 1 - 1e-9):
            raise ValueError(f"sizes are shares of all examples and add up to 1, not to {total:g}")
        return value

    def shares(self) -> dict[str, float]:
        """Return each group's share of the examples; they add up to 1."""
        usual = {group: share for group, share in self.usual_sizes.items() if group not in self.sizes}
        left = 1 - sum(self.sizes.values())
        rest = {group: left * share / sum(usual.values()) for group, share in usual.items()}
        return {group: {**self.sizes, **rest}[group] for group in self.usual_sizes}

    def plan(self) -> ExamplePlan:
        """Draw group, truth, looks, label and cue of every example.

        Each option draws from a separate random stream, so a planted disparity changes only labels or cues.
        """
        counts = _apportion(np.array(list(self.shares().values())), self.n)
        group = np.repeat(np.arange(len(counts)), counts)
        truth = np.concatenate([np.arange(count) % 2 == 1 for count in counts])
        # Within each half of a group every other example has the cue.
        cue = np.concatenate([np.arange(count) % 4 >= 2 for count in counts])
        order = self._stream("order").permutation(self.n)
        group, truth, cue = group[order], truth[order], cue[order]
        looks = truth.copy()
        for cell in range(2 * len(counts)):
            alike = np.flatnonzero(2 * group + truth == cell)
            looks[_draw_share(self._stream("ambiguity", str(cell)), alike, self.ambiguity)] ^= True
        labels = truth.astype(np.int64)
        for name, share in self.noise.items():
            wrong = _draw_share(self._stream("noise", name), np.flatnonzero(group == self._code(name)), share)
            labels[wrong] = 1 - labels[wrong]
        for name, share in self.shortcut.items():
            told = _draw_share(self._stream("shortcut", name), np.flatnonzero(group == self._code(name)), share)
            cue[told] = labels[told] == 1
        return ExamplePlan(group, truth, looks, labels, cue)

    def load(self, folder: Path | None = None) -> Dataset:
        """Make the examples; `folder` is not needed. The same spec always gives the same bytes."""
        plan = self.plan()
        inputs = self.make(plan)
        example = np.array([f"{self.modality}-{row:05d}" for row in range(self.n)], dtype=object)
        groups = list(self.usual_sizes)
        return Dataset(
            name=self.named,
            modality=self.modality,
            inputs=inputs,
            labels=plan.labels,
            classes=self.classes,
            example=example,
            attributes={self.attribute: Attribute.from_values([groups[code] for code in plan.group])},
            unit=self.units(inputs, example),
            notes=tuple(self._notes()),
        )

    def training_examples(
        self, dataset: Dataset, index: np.ndarray, options: Mapping[str, Any], seed: int
    ) -> TrainingExamples:
        """Return the training examples, altered by `noise`, and by `shortcut: {ATTRIBUTE=GROUP: share}`.

        In that share of the group's training examples the cue reveals the label that the method is trained on, noise
        included.

        Args:
            dataset: what `load` of this spec returned.
            index: its training examples.
            options: `noise` and `shortcut`.
            seed: of the trial.

        Raises:
            InputError: an unknown option, an unknown group, or a value that is not a share.
        """
        unknown = [key for key in options if key not in ("noise", "shortcut")]
        if unknown:
            known = ("noise", "repeat", "shortcut")
            raise InputError(f'data: {dataset.name} has no option "{unknown[0]}"; {did_you_mean(unknown[0], known)}')
        others = {key: value for key, value in options.items() if key != "shortcut"}
        examples = super().training_examples(dataset, index, others, seed)
        shortcuts = _by_group("shortcut", options.get("shortcut", {}))
        if not shortcuts:
            return examples
        plan = self.plan()
        cue = plan.cue.copy()
        for name, share in shortcuts.items():
            attribute, _, group = name.partition("=")
            members = np.flatnonzero(dataset.group_mask(attribute, group)[index])
            told = _draw_share(generator(seed, "shortcut", name), members, share)
            cue[index[told]] = examples.labels[told] == 1
        made = self.make(replace(plan, cue=cue))
        return TrainingExamples([made[int(row)] for row in index], examples.labels)

    @abstractmethod
    def make(self, plan: ExamplePlan) -> Sequence[Any]:
        """Draw or write every example [n]. An example depends only on its own row of the plan."""

    def units(self, inputs: Sequence[Any], example: np.ndarray) -> np.ndarray:
        """Return the unit of every example: itself."""
        return example

    def _stream(self, *names: str) -> np.random.Generator:
        """Return the generator of a named random stream."""
        return generator(self.seed, self.named, *names)

    def _code(self, group: str) -> int:
        """Return the code of a group."""
        return list(self.usual_sizes).index(group)

    def _notes(self) -> list[str]:
        """Return a note for each planted disparity."""
        noise = [
            f"planted: {share:.0%} of the labels of {self.attribute} = {group} are wrong, test labels too"
            for group, share in self.noise.items()
        ]
        shortcut = [
            f"planted: in {share:.0%} of {self.attribute} = {group} a cue tells the label, elsewhere it tells nothing"
            for group, share in self.shortcut.items()
        ]
        return noise + shortcut


class SyntheticFaces(Synthetic):
    """Drawn faces, 32 × 32 pixels, smiling or frowning, in four outlines.

    Mouth and brows each go up or down; the label depends on both together. The cue of a shortcut is the badge, in
    the left or the right corner.
    """

    named: ClassVar[str] = "synthetic/faces"
    modality: ClassVar[Modality] = "image"
    classes: ClassVar[tuple[str, str]] = ("frowning", "smiling")
    attribute: ClassVar[str] = "shape"
    usual_sizes: ClassVar[Mapping[str, float]] = {"circle": 0.4, "square": 0.3, "hexagon": 0.2, "triangle": 0.1}

    def faces(self, plan: ExamplePlan) -> drawings.Faces:
        """Return the parameters of every drawing."""
        corners = np.array([drawings.CORNERS[shape] for shape in self.usual_sizes])
        faces = drawings.random_faces(self._stream("faces"), self.n)
        return replace(drawings.with_smiles(faces, plan.looks), corners=corners[plan.group], badge=plan.cue)

    def make(self, plan: ExamplePlan) -> Sequence[np.ndarray]:
        """Draw the faces, uint8 [32, 32, 3] each."""
        return list(drawings.draw(self.faces(plan)))


class SyntheticPosts(Synthetic):
    """Short template posts in English that praise or complain, in four topics.

    A post has one to five clauses that praise or complain; the label is that of the majority. The cue of a shortcut is
    the sign-off.
    """

    named: ClassVar[str] = "synthetic/posts"
    modality: ClassVar[Modality] = "text"
    classes: ClassVar[tuple[str, str]] = ("complaint", "praise")
    attribute: ClassVar[str] = "topic"
    usual_sizes: ClassVar[Mapping[str, float]] = {"food": 0.4, "travel": 0.3, "music": 0.2, "garden": 0.1}

    def make(self, plan: ExamplePlan) -> Sequence[str]:
        """Write the posts."""
        topics = list(self.usual_sizes)
        return [
            phrases.post(
                self._stream("text", str(row)),
                topics[int(plan.group[row])],
                bool(plan.looks[row]),
                int(plan.cue[row]),
            )
            for row in range(self.n)
        ]

    def units(self, inputs: Sequence[Any], example: np.ndarray) -> np.ndarray:
        """Return units, in which posts with the same words share the id of the first."""
        first: dict[str, str] = {}
        return np.array([first.setdefault(text, name) for text, name in zip(inputs, example, strict=True)], object)


def _apportion(shares: np.ndarray, total: int) -> np.ndarray:
    """Divide `total` into whole numbers in these proportions, by largest remainder."""
    exact = shares / shares.sum() * total
    counts = np.floor(exact + 1e-9).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return counts


def _draw_share(rng: np.random.Generator, members: np.ndarray, share: float) -> np.ndarray:
    """Draw that share of the members."""
    return rng.permutation(members)[: round(share * len(members))]


def _by_group(option: str, value: Any) -> dict[str, float]:
    """Return `{ATTRIBUTE=GROUP: share}` of a method's `data:`, checked."""
    if not isinstance(value, Mapping):
        raise InputError(f"data: {option} is a mapping of ATTRIBUTE=GROUP to a share, not {value!r}")
    shares = {}
    for name, share in value.items():
        if "=" not in str(name):
            raise InputError(f'data: {option} names groups as ATTRIBUTE=GROUP, not "{name}"')
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise InputError(f"data: {option} of {name} is a share between 0 and 1, not {share!r}")
        shares[str(name)] = float(share)
    return shares
