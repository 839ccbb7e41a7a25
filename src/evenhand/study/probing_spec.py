"""Defines the key `probing:` of a study: the targets that representations are probed for, and the probes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, PositiveInt, field_validator, model_validator

from evenhand.audit.design import ProbedDesign
from evenhand.data.dataset import MISSING, Dataset
from evenhand.data.translation import PROMPT, Translations
from evenhand.errors import InputError, did_you_mean
from evenhand.records.probes import LABEL, UNTRAINED
from evenhand.seeds import generator
from evenhand.tasks import Kind, kind_of
from evenhand.tasks.probing import LEAST_CONTROLS, ProbeTarget, Probing, held_out
from evenhand.tasks.trial_probes import layer_numbers

if TYPE_CHECKING:
    from evenhand.models.find import BaseModel


class ProbingSpec(ProbedDesign):
    """The targets of probing (`probing:` in a study); a plain name or list of names is read as `targets`.

    Attributes:
        targets: `label`; an attribute whose groups do not overlap, such as `author`; or one group against the rest,
            `target=women`.
        judged, more: see `evenhand.audit.design.ProbedDesign`. By default more of the label is `better`
            and more of an attribute is `worse`.
        layers: the layers to probe. 0 is the embeddings, which are always probed, and −1 the last layer; null: all.
        pooling: how a text is represented: by its `last` token, or by the `mean` of its tokens; `auto`: the last token
            in models that read from left to right, else the mean.
        controls: number of control tasks, 5 or more.
        test: share of the examples, in whole units, on which probes are tested.
        penalty: penalty of the ridge, see `evenhand.tasks.probing.probe`.
        examples: number of test examples, drawn at random; null: all.
        untrained: whether an untrained model of the architecture is probed, too, as a baseline.
    """

    layers: tuple[int, ...] | None = None
    pooling: Literal["auto", "last", "mean"] = "auto"
    controls: int = Field(default=LEAST_CONTROLS, ge=LEAST_CONTROLS)
    test: float = Field(default=0.4, gt=0, lt=1)
    penalty: float = Field(default=0.01, gt=0)
    examples: PositiveInt | None = 1000
    untrained: bool = True

    @model_validator(mode="before")
    @classmethod
    def _complete_more(cls, values: Any) -> Any:
        """Complete `more` so that every target says whether more of it is worse or better."""
        values = {"targets": values} if isinstance(values, str | list | tuple) else values
        if not isinstance(values, Mapping) or not isinstance(values.get("targets"), str | list | tuple):
            return values
        targets = values["targets"]
        targets = [targets] if isinstance(targets, str) else [str(name) for name in targets]
        given = values.get("more", {})
        if isinstance(given, str):
            given = dict.fromkeys(targets, given)
        if not isinstance(given, Mapping):
            raise InputError(
                f"probing.more should be worse, better or neither, or one of these by target, not {given!r}"
            )
        for name in given:
            if name not in targets:
                raise InputError(f'probing.more: "{name}" is not a target; {did_you_mean(str(name), targets)}')
        more = {name: given.get(name, "better" if name == LABEL else "worse") for name in targets}
        return {**values, "targets": targets, "more": more}

    @field_validator("targets")
    @classmethod
    def _different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse an empty or repeating list of targets."""
        if not value or len(set(value)) < len(value):
            raise InputError("probing.targets should name one or more different targets, such as [author]")
        return value

    def audited(self, base: BaseModel, kind: Kind) -> ProbedDesign:
        """Return what the audit needs to know about probing, with layers numbered as in this base model."""
        known = {key: getattr(self, key) for key in ProbedDesign.model_fields}
        if self.judged is not None:
            depth = _depth(base, kind)
            known["judged"] = tuple(sorted({layer % depth for layer in self.judged}))
        return ProbedDesign(**known)

    def check(self, task: str, methods: Collection[str], seeds: Collection[int]) -> None:
        """Raise InputError if the rest of a setting rules out probing.

        Looks at the task's name, the methods' names and the seeds.
        """
        if kind_of(task) == "sft":
            raise InputError(f"probing reads single texts, and {task} has conversations; leave probing out")
        if LABEL in self.targets and kind_of(task) != "classification":
            raise InputError(f"probing.targets: {task} has no label to probe for; name an attribute of its examples")
        if self.untrained and UNTRAINED in methods:
            raise InputError(
                f'methods.{UNTRAINED}: the baseline of probing has this name; choose another, or set "untrained: false"'
            )
        if not seeds:
            raise InputError("probing: there are no seeds, so there are no models to probe; set seeds to 1 or more")

    def check_base(self, base: BaseModel, kind: Kind) -> None:
        """Raise InputError if the base model's layers cannot be read or lack those that are named."""
        if base.modality != "text":
            raise InputError(
                f"probing needs a model of texts, and {base.name} reads {base.modality}s; leave probing out"
            )
        depth = _depth(base, kind)
        probed = layer_numbers(self.layers, depth)
        for layer in self.judged or ():
            if not -depth <= layer < depth or layer % depth not in probed:
                raise InputError(
                    f"probing.judged: layer {layer} is not among those that are probed: {', '.join(map(str, probed))}"
                )

    def drawn(self, index: np.ndarray) -> np.ndarray:
        """Return the examples at `index` that are probed, in their order."""
        if self.examples is None or self.examples >= len(index):
            return index
        return index[np.sort(generator(0, "probing").permutation(len(index))[: self.examples])]

    def of(self, dataset: Dataset, kind: Kind, fingerprint: str) -> Probing:
        """Return the probe targets for the models of a sample.

        Args:
            dataset: the examples that are probed.
            kind: of the task.
            fingerprint: what identifies the examples.

        Raises:
            InputError: a target that is not in the data, has a single value, or has overlapping groups; too few units;
                a text without a word.
        """
        empty = next((row for row, text in enumerate(dataset.inputs) if not str(text).strip()), None)
        if empty is not None:
            raise InputError(
                f"probing: the example {dataset.example[empty]} has no text to represent; leave it out of the data"
            )
        targets = tuple(probe_target(dataset, name) for name in self.targets)
        for target in targets:
            tested = held_out(target.units, self.test, 0)
            for part, verb in ((tested, "tests"), (~tested, "learns from")):
                if len(np.unique(target.labels[part])) < 2:
                    raise InputError(
                        f"probing.targets: {target.name} has one value among the {int(part.sum())} examples that a "
                        f"probe {verb}; probe more examples, or a target that is less rare"
                    )
        texts = [str(text) for text in dataset.inputs]
        if isinstance(dataset, Translations):
            texts = [PROMPT.format(source=source) for source in texts]
        options = self.model_dump(mode="json", exclude={*ProbedDesign.model_fields, "examples"} - {"untrained"})
        digest = hashlib.blake2b(json.dumps([kind, options, PROMPT], sort_keys=True).encode(), digest_size=16)
        for target in targets:
            for part in (target.name, target.labels.tolist(), target.types, target.units, target.examples):
                digest.update(repr(part if isinstance(part, str) else list(map(str, part))).encode() + b"\0")
        return Probing(
            texts=texts,
            examples=tuple(str(example) for example in dataset.example),
            targets=targets,
            layers=self.layers,
            pooling=self.pooling,
            controls=self.controls,
            test=self.test,
            penalty=self.penalty,
            untrained=self.untrained,
            language=kind != "classification",
            key=f"{fingerprint}-{digest.hexdigest()}",
        )


def _depth(base: BaseModel, kind: Kind) -> int:
    """Return how many states a model over the base has for a text, embeddings included.

    Raises InputError if its layers do not come one after another.
    """
    from evenhand.methods.fit import model_skeleton

    config: Any = model_skeleton(base, 2 if kind == "classification" else None).config
    if config.is_encoder_decoder:
        raise InputError(f"probing: {base.name} has an encoder and a decoder, whose layers are not one after another")
    return int(config.num_hidden_layers) + 1


def probe_target(dataset: Dataset, name: str) -> ProbeTarget:
    """Return a target among some examples; those without a value or outside its groups are left out.

    Control labels are fixed per occupation if the data name the referent of each line, else per text.

    Args:
        dataset: the examples.
        name: `label`, an attribute, or `ATTRIBUTE=GROUP`.

    Raises:
        InputError: see `ProbingSpec.of`.
    """
    attribute, separator, group = name.partition("=")
    everyone = np.arange(len(dataset))
    if name == LABEL:
        rows, labels = everyone, dataset.labels
    elif attribute not in dataset.attributes:
        has = ", ".join([LABEL, *dataset.attributes])
        raise InputError(f'probing.targets: {dataset.name} has no attribute "{attribute}" to probe for; it has: {has}')
    elif separator:
        mask = dataset.group_mask(attribute, group)
        known = _known(dataset, attribute)
        rows, labels = everyone[known], mask[known].astype(np.int64)
    else:
        attribute_groups = dataset.attributes[attribute]
        kept = [column for column, name_of_group in enumerate(attribute_groups.groups) if name_of_group != MISSING]
        masks = attribute_groups.masks[:, kept]
        several = int((masks.sum(axis=1) > 1).sum())
        if several:
            raise InputError(
                f"probing.targets: {several} of {len(dataset)} examples are in several groups of {attribute}; probe "
                f"for one against the rest, such as {attribute}={attribute_groups.groups[0]}"
            )
        rows = everyone[masks.any(axis=1)]
        labels = masks[rows].argmax(axis=1).astype(np.int64)
    values = len(np.unique(labels))
    if values < 2:
        raise InputError(
            f"probing.targets: {name} has {'one value' if values else 'no value'} among the {len(rows)} examples that "
            "are probed; a probe needs two or more"
        )
    return ProbeTarget(name, labels, _types(dataset)[rows], dataset.unit[rows], tuple(map(str, dataset.example[rows])))


def _known(dataset: Dataset, attribute: str) -> np.ndarray:
    """Return the examples whose group is not missing, bool [n]."""
    groups = dataset.attributes[attribute]
    if MISSING not in groups.groups:
        return np.ones(len(dataset), dtype=bool)
    return ~groups.masks[:, groups.groups.index(MISSING)]


def _types(dataset: Dataset) -> np.ndarray:
    """Return the type for which control labels are fixed, object [n]; a text is named by its first example."""
    if isinstance(dataset, Translations) and dataset.about.size:
        return dataset.about
    first: dict[str, str] = {}
    pairs = zip(dataset.inputs, dataset.example, strict=True)
    return np.array([first.setdefault(str(text), str(example)) for text, example in pairs], dtype=object)
