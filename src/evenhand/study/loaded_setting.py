"""Defines a setting whose data and base model are loaded, and the sample of the data that each seed draws."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand.audit.design import SettingDesign
from evenhand.data.dataset import Dataset, DataSpec, TrainingExamples, content_hash, repeat_groups
from evenhand.data.pairs import TrainingPairs, pairs_hash
from evenhand.data.pools import ShadowDesign, shadow_design
from evenhand.data.sft import Conversations
from evenhand.data.splits import Split, split
from evenhand.data.translation import PROMPT
from evenhand.models.stated import is_stated
from evenhand.seeds import derive
from evenhand.study.generations_spec import generation_notes, generations_design
from evenhand.study.harness_spec import harness_design as audited_harness
from evenhand.study.loaded_dataset import LoadedDataset, input_keys
from evenhand.study.prompts_spec import prompts_hash
from evenhand.study.setting import Setting
from evenhand.tasks import Kind, kind_of
from evenhand.tasks.prompts.users_texts import Questioning, users_texts
from evenhand.tasks.token_scoring import TokenScoring

if TYPE_CHECKING:
    from evenhand.models.find import BaseModel
    from evenhand.tasks.generations.generations import Generations
    from evenhand.tasks.harness.loading import Benchmarks
    from evenhand.tasks.probing import Probing
    from evenhand.tasks.prompts.prompt import ReviewPrompt

REPEATS = ("classification", "sft")
"""The kinds of tasks whose training examples `data: {repeat: …}` repeats."""


@dataclass(frozen=True, eq=False)
class LoadedSetting:
    """A setting whose data and base model are loaded.

    Attributes:
        name, spec: the resolved setting and its name.
        base: the base model.
        data: the task's options.
        loaded: the task's examples.
        others: further test sets by name.
        against, compared_notes: see `evenhand.study.compared_groups.compared_groups`.
        prompts: the prompts that models answer; none where the study asks none.
        benchmarks: benchmarks on which models are scored, with their documents.
        generations: the continuations that models write, and their scorers.
    """

    name: str
    spec: Setting
    base: BaseModel
    data: DataSpec
    loaded: LoadedDataset
    others: Mapping[str, LoadedDataset]
    against: Mapping[str, str] = field(default_factory=dict)
    compared_notes: tuple[str, ...] = ()
    prompts: tuple[ReviewPrompt, ...] = ()
    benchmarks: Benchmarks | None = None
    generations: Generations | None = None
    _drawn: dict[int, Sample] = field(default_factory=dict, repr=False)

    @property
    def dataset(self) -> Dataset:
        """The task's examples."""
        return self.loaded.dataset

    @property
    def continued(self) -> tuple[Dataset, ...]:
        """The sets of prompts that models continue; none where the study has no `generations:`."""
        return () if self.generations is None else self.generations.prompts

    @property
    def kind(self) -> Kind:
        """The kind of the task: classification, translation or reviews."""
        return kind_of(self.spec.task["name"])

    @cached_property
    def template(self) -> str | None:
        """What models of this setting read around an input: a prompt, or a chat template; None: nothing."""
        if self.kind == "translation":
            return PROMPT
        if not isinstance(self.dataset, Conversations) or self.stated:
            return None
        from evenhand.tasks.sft import template_of

        return template_of(self.base, self.dataset)

    @property
    def copies(self) -> dict[str, int]:
        """How often canaries are in a training set, by ATTRIBUTE=GROUP; empty without canaries."""
        spec = self.spec.membership
        return {} if spec is None or spec.canaries is None else spec.canaries.copies_by_group()

    @property
    def stated(self) -> bool:
        """Whether the data or the base model are stated for arithmetic, so that nothing can be trained."""
        return self.dataset.stated or is_stated(self.base)

    def sample(self, seed: int) -> Sample:
        """Return the sample that a seed draws; all seeds share one if the split is fixed."""
        split_seed = self.spec.split.seed_for(seed)
        if split_seed not in self._drawn:
            parts = split(self.dataset, self.spec.split, self.spec.limit, seed)
            shadowed = self._shadowed(parts, split_seed)
            self._drawn[split_seed] = Sample(self, parts, None if shadowed is None else shadowed.members)
        return self._drawn[split_seed]

    def shadowed(self, seed: int) -> ShadowDesign | None:
        """Return the draw of shadow models for a seed's targets; None if the setting has no shadows."""
        return self._shadowed(self.sample(seed).parts, self.spec.split.seed_for(seed))

    def _shadowed(self, parts: Split, split_seed: int) -> ShadowDesign | None:
        """Draw the training sets of the shadow models of one split."""
        wanted = self.spec.membership
        if wanted is None or wanted.design == "pool":
            return None
        return shadow_design(self.dataset, parts.train, parts.test, wanted.models, derive(wanted.seed, split_seed))

    @cached_property
    def samples(self) -> dict[int, Sample]:
        """The sample of each seed of the study."""
        return {seed: self.sample(seed) for seed in self.spec.seeds}

    @cached_property
    def other_fingerprints(self) -> dict[str, str]:
        """The fingerprints of the further test sets, by name."""
        return {name: other.fingerprint(np.arange(len(other.dataset))) for name, other in self.others.items()}

    def with_seeds(self, number: int) -> LoadedSetting:
        """Return the setting with its first seeds only; what was drawn for a seed is not drawn again."""
        return replace(self, spec=self.spec.model_copy(update={"seeds": self.spec.seeds[:number]}))

    def examples(self) -> pl.DataFrame:
        """Return the setting's rows of the table `examples`, further test sets and prompts to continue included."""
        prompts = (LoadedDataset(dataset, labelled=False) for dataset in self.continued)
        every = (self.loaded, *self.others.values(), *prompts)
        return pl.concat([loaded.rows(self.name) for loaded in every], how="diagonal")

    def design(self) -> SettingDesign:
        """Return what the audit needs to know about the setting besides its records."""
        spec = self.spec
        tested = [len(sample.parts.test) for sample in self.samples.values()]
        task = spec.task["name"] + (f"/{spec.task['target']}" if spec.task.get("target") else "")
        noted = [f"{name}: {note}" for name, other in self.others.items() for note in other.dataset.notes]
        noted += [*self.compared_notes, *(self.benchmarks.notes if self.benchmarks else ())]
        noted += [*generation_notes(self.generations), *self._cut_notes, *self._template_notes()]
        return SettingDesign(
            references=spec.reference,
            methods=tuple(spec.methods),
            classes=self.dataset.classes if self.kind == "classification" else (),
            favourable=spec.favourable,
            against=dict(self.against),
            vary=spec.split.vary and (spec.split.column is None or spec.limit.test is not None),
            test_share=tested[0] / len(self.dataset) if tested else None,
            kind=self.kind,
            task=task,
            model=spec.model,
            membership=None if spec.membership is None else spec.membership.audited(),
            asked=None if spec.prompts is None else spec.prompts.audited(),
            harness=audited_harness(self.benchmarks),
            generations=generations_design(self.generations),
            probed=None if spec.probing is None else spec.probing.audited(self.base, self.kind),
            notes=(*self.dataset.notes, *self.base.notes, *self._split_notes(), *noted, *self._membership_notes()),
            warnings=tuple(self._seen_warnings()),
        )

    def _template_notes(self) -> list[str]:
        """Return a note on the date that the chat template writes."""
        if not isinstance(self.dataset, Conversations) or self.template is None:
            return []
        from evenhand.tasks.sft import template_notes

        return list(template_notes(self.base, self.template))

    @cached_property
    def _cut_notes(self) -> tuple[str, ...]:
        """A note on the texts that are too long for `prompts:`, at the first seed."""
        if not self.prompts or not self.samples or self.stated:
            return ()
        from evenhand.tasks.reviews import cut_notes

        first = next(iter(self.samples.values()))
        asked = [dataset.inputs for dataset in first.evaluations.values()] if self.kind == "reviews" else []
        asked += [] if first.questioning is None else [first.questioning.texts.inputs]
        methods = [self.spec.method(name) for name in self.spec.methods]
        return tuple(cut_notes(self.base, methods, self.prompts, [text for texts in asked for text in texts]))

    def _seen_warnings(self) -> list[str]:
        """Return a sentence for each further test set with inputs that models are trained or tuned on."""
        if not self.others:
            return []
        distinct = {id(sample): sample.parts for sample in self.samples.values()}.values()
        learned = [{self.loaded.keys[int(place)] for place in (*parts.train, *parts.validation)} for parts in distinct]
        seen = {
            name: max((sum(key in keys for key in other.keys) for keys in learned), default=0)
            for name, other in self.others.items()
        }
        return [
            f"{most:,} of the {len(self.others[name].keys):,} examples of the test set {name} are among those that "
            "models are trained or tuned on: it does not show how they do on new ones."
            for name, most in seen.items()
            if most
        ]

    def _membership_notes(self) -> list[str]:
        """Return a note on what an attack on language models reads, and whom it counts as everyone."""
        spec = self.spec.membership
        if spec is None or self.kind == "classification":
            return []
        counted = "" if spec.canaries is None else "; everyone counts canaries, too, and canary = none does not"
        return [f"Membership is inferred from the tokens of responses (attack: {spec.attack}){counted}"]

    def _split_notes(self) -> list[str]:
        """Return notes on what the splits left out, once for all seeds."""
        if not self.samples:
            return []
        first, *rest = (sample.parts.notes for sample in self.samples.values())
        if all(notes == first for notes in rest):
            return list(first)
        return [f"{note} (at seed {self.spec.seeds[0]}; about as many at the others)" for note in first]


@dataclass(frozen=True, eq=False)
class Sample:
    """The examples that a seed draws of a setting's data, the same for every method.

    Attributes:
        setting: the setting of the sample.
        parts: the examples for training, validation and test.
        members: training examples that are also predicted, as `train`, because their membership is audited.
        extra: whether the further test sets are predicted.
        scored: of a language model of a pool, the positions of the texts whose tokens it scores, by `split`.
    """

    setting: LoadedSetting
    parts: Split
    members: np.ndarray | None = None
    extra: bool = True
    scored: Mapping[str, np.ndarray] | None = None
    _altered: dict[tuple[int, str], tuple[TrainingExamples, str]] = field(default_factory=dict, repr=False)

    @cached_property
    def validation(self) -> Dataset | None:
        """The validation examples; None if there are none."""
        return self.setting.dataset.take(self.parts.validation) if len(self.parts.validation) else None

    @cached_property
    def asked(self) -> np.ndarray:
        """The positions of the examples to predict or to ask about: the test part, or the choice of `prompts:`."""
        spec = self.setting.spec.prompts
        if spec is not None and self.setting.kind == "reviews":
            return spec.drawn(self.parts.test if spec.split == "test" else self.parts.train)
        return self.setting.data.tested(self.setting.dataset, self.parts.test)

    @cached_property
    def evaluations(self) -> dict[str, Dataset]:
        """The examples to predict, or to translate, by `split`."""
        of_task = {name: self.setting.dataset.take(index) for name, index in self.predicted.items()}
        others = {name: other.dataset for name, other in self.setting.others.items()} if self.extra else {}
        return {**of_task, **others}

    @cached_property
    def predicted(self) -> dict[str, np.ndarray]:
        """The positions of the task's own examples to predict, by `split`.

        Only classifiers predict validation examples.
        """
        spec = self.setting.spec.prompts
        if spec is not None and self.setting.kind == "reviews":
            return {spec.split: self.asked}
        members = {} if self.members is None else {"train": self.members}
        seen = len(self.parts.validation) and self.setting.kind == "classification"
        validation = {"validation": self.parts.validation} if seen else {}
        return {**members, **validation, "test": self.asked}

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of each split's examples, ids included; it identifies them in records."""
        of_task = {name: self.setting.loaded.fingerprint(index) for name, index in self.predicted.items()}
        spec = self.setting.spec.prompts
        if spec is not None and self.setting.kind == "reviews":
            asked = prompts_hash(self.setting.prompts, spec.sequence_loss, spec.content_free)
            return {name: f"{fingerprint}-{asked}" for name, fingerprint in of_task.items()}
        return {**of_task, **(self.setting.other_fingerprints if self.extra else {})}

    @cached_property
    def probing(self) -> Probing | None:
        """The probing of the sample's models; None if the study asks for none.

        Raises:
            InputError: a target that these examples do not have, see `ProbingSpec.of`.
        """
        spec, setting = self.setting.spec.probing, self.setting
        if spec is None or not self.extra or setting.dataset.stated:
            return None
        index = spec.drawn(setting.data.tested(setting.dataset, self.parts.test))
        return spec.of(setting.dataset.take(index), setting.kind, setting.loaded.fingerprint(index))

    @cached_property
    def questioning(self) -> Questioning | None:
        """The texts that the prompts of a study of pairs are about; None where there are no prompts."""
        spec, setting = self.setting.spec.prompts, self.setting
        if spec is None or not self.extra or setting.kind != "sft":
            return None
        index = spec.drawn(self.parts.test if spec.split == "test" else self.parts.train)
        conversations = setting.dataset.take(index)
        assert isinstance(conversations, Conversations)
        asked = prompts_hash(setting.prompts, spec.sequence_loss, spec.content_free)
        return Questioning(users_texts(conversations), f"{setting.loaded.fingerprint(index)}-{asked}")

    @cached_property
    def scoring(self) -> TokenScoring | None:
        """The texts whose tokens the sample's models score; None for classifiers and outside of a pool."""
        if self.scored is None:
            return None
        loaded = self.setting.loaded
        texts = {name: loaded.dataset.take(index) for name, index in self.scored.items()}
        return TokenScoring(texts, {name: loaded.fingerprint(index) for name, index in self.scored.items()})

    @cached_property
    def contents(self) -> tuple[str, str]:
        """The hashes of the training examples, unless `data:` alters them, and of the validation examples."""
        return self.setting.loaded.contents(self.parts.train), self.setting.loaded.contents(self.parts.validation)

    def training(self, options: Mapping[str, Any], seed: int) -> tuple[TrainingExamples, str]:
        """Return the training examples after the alterations of `data:` under a seed, and their hash."""
        key = seed, json.dumps(dict(options), sort_keys=True)
        if key not in self._altered:
            setting = self.setting
            classified, repeats = setting.kind == "classification", setting.kind in REPEATS
            others = {name: value for name, value in options.items() if name != "repeat" or not repeats}
            examples = setting.data.training_examples(setting.dataset, self.parts.train, others, seed)
            if classified and len(examples) == len(self.parts.train):
                groups = {name: each.take(self.parts.train) for name, each in setting.dataset.attributes.items()}
                examples = replace(examples, attributes=groups)
            repeated: Any = options.get("repeat", {}) if repeats else {}
            if setting.copies and isinstance(repeated, Mapping):
                repeated = {**setting.copies, **repeated}
            if repeated:
                examples = repeat_groups(examples, setting.dataset, self.parts.train, repeated)
            contents = _contents(examples) if options or repeated else self.contents[0]
            self._altered[key] = examples, contents
        return self._altered[key]


def _contents(examples: TrainingExamples) -> str:
    """Return the hash of training examples as they are learned from."""
    if isinstance(examples, TrainingPairs):
        return pairs_hash(examples.inputs, examples.targets)
    return content_hash(input_keys(examples.inputs), examples.labels)
