"""The design of a study: which methods are compared, how splits were made, and the margins."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, model_validator

from evenhand.audit.figure_design import Figures, Rank
from evenhand.metrics.options.scores import Score
from evenhand.spec import Spec

DEFAULT_SUPPORT = 10
"""Groups with fewer resampling units in some seed are shown but left out of max − min and of ratios."""


DEFAULT_K = 0.2
"""The share of a text's tokens, the least likely ones, that Min-K% averages."""

REST, OVERALL = "rest", "overall"
"""What tables call those whom a group is compared with: all others for whom its attribute is defined, and everybody."""


class MembershipDesign(Spec):
    """The membership-inference attack on a setting's models, and its records (`evenhand.audit.membership.pool`).

    Attributes:
        attack: see `evenhand.metrics.attack_pool`; `difficulty` is difficulty calibration. `reference`, `zlib`, `min_k`
            and `min_k_plus_plus` are scores of texts (`evenhand.audit.membership.texts`).
        mode: of `lira` and `rmia`: compared with models that were and were not trained on an example, or with the
            latter only. With separate shadows it is `offline`.
        variance: of `lira`.
        gamma, a: of `rmia`.
        k: of `min_k` and `min_k_plus_plus`, the share of a text's tokens.
        shadows: the method whose models every method is compared with; None: each with its own.
        design: `pool`: each model of a pool of complementary pairs is the target in turn; `shadows`: the models of the
            study are the targets, and separate models that saw none of their audited examples are their shadows.
    """

    attack: Literal["loss", "reference", "zlib", "min_k", "min_k_plus_plus", "difficulty", "lira", "rmia"] = "lira"
    mode: Literal["online", "offline"] = "online"
    variance: Literal["pooled", "shrunk", "per-example", "auto"] = "auto"
    gamma: float = Field(default=1.0, gt=0)
    a: float = Field(default=0.3, ge=0, le=1)
    k: float = Field(default=DEFAULT_K, gt=0, le=1, exclude_if=lambda value: value == DEFAULT_K)
    shadows: str | None = None
    design: Literal["pool", "shadows"] = "pool"

    @model_validator(mode="before")
    @classmethod
    def _separate_shadows_are_offline(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("design") == "shadows":
            return {"mode": "offline", **values}
        return values

    @model_validator(mode="after")
    def _has_models_to_compare_with(self) -> MembershipDesign:
        if self.design == "shadows" and self.mode == "online":
            raise ValueError(
                "mode: separate shadows saw none of the audited examples, so that the mode is offline; "
                "online needs the design pool"
            )
        return self


class AskedDesign(Spec):
    """The prompts of a setting and how their answers are read (`evenhand.audit.kinds.options`).

    Attributes:
        split: the reviews that were asked about: held-out ones, or those that the models were trained on.
        score: of an option, see `evenhand.metrics.option_scores`.
        contents: the two between which a preference is judged; the first has the positive sign.
    """

    split: Literal["test", "train"] = "test"
    score: Score = "log_prob"
    contents: tuple[str, str] = ("male", "female")


class HarnessDesign(Spec):
    """The benchmarks that lm-evaluation-harness scored (`evenhand.audit.kinds.benchmarks`).

    Attributes:
        tasks: by the harness's names, in the order in which a reader wants them.
    """

    tasks: tuple[str, ...] = ()


class GenerationsDesign(Spec):
    """The continuations that models wrote after counterfactual prompts, whose scores are values.

    Attributes:
        splits: of the scores in the table `values`, one for each set of prompts.
        scorers: the names of the scores.
    """

    splits: tuple[str, ...]
    scorers: tuple[str, ...]


class ProbedDesign(Spec):
    """The targets of linear probes, and how their results are read (`evenhand.audit.kinds.probes`).

    Attributes:
        targets: names, as in the table `probes`.
        judged: the layers at which methods are compared; None: the last one that was probed.
        more: by target, what it means that a method's representation says more of it than another's. `worse`: whoever
            uses the model can learn more of somebody than before. `better`: it is what the model is for. `neither`:
            contrasts are shown, without a verdict.
        untrained: whether untrained models of the architecture were probed, too.
    """

    targets: tuple[str, ...]
    judged: tuple[int, ...] | None = None
    more: dict[str, Literal["worse", "better", "neither"]] = Field(default_factory=dict)
    untrained: bool = True


Range = tuple[float, float]
"""The least and the largest possible number."""


class RegressionDesign(Spec):
    """The numbers that were predicted, and how they are read (`evenhand.audit.kinds.numbers`).

    Attributes:
        label, prediction: the names of true and predicted numbers in the table `values`.
        range: of both; None: they have no bounds.
        digits: decimals that errors are shown with.
    """

    label: str = Field(min_length=1)
    prediction: str = Field(min_length=1)
    range: Range | None = None
    digits: int = Field(default=3, ge=0)


class SettingDesign(Spec):
    """One setting of a study, as the audit sees it.

    Attributes:
        references: methods that the others are compared with.
        methods: in the order in which a reader wants them.
        classes: class names; empty when unknown.
        positive: code of the favourable or flagged class of a binary task.
        favourable: whether it is the positive or the negative prediction that people want (to be hired; not to be
            flagged); None: not said, and verdicts on selection rates are two-sided.
        against: by attribute, whom each of its groups is compared with: `overall` or a group; where nothing is said,
            the rest.
        vary: a new split per seed (the paper's design) or one fixed split.
        test_share: share of the examples that is tested, for the corrected resampled t.
        task, model: for the report only.
        warnings: what must be known before any verdict; the headline begins with it.
        unmatched: pairs of methods to compare that have no example in common; nothing passes a gate then.
        kind: what was learned: `classification`, whose predictions are audited, `translation`, whose responses are, or
            `reviews`, whose options are, `sft`, whose values are; `benchmarks` where only scores of benchmarks are
            audited.
        ranks: by method, for figures over ranks; methods that have none are left out.
        membership: how its models are attacked; None where no membership is asked for, or a table holds the scores.
        asked: of `reviews`, what their options were asked of.
        harness: the benchmarks that were scored besides; None where there are none.
        generations: the continuations that were scored besides; None where there are none.
        probed: what representations were probed for; None where they were not.
        regression: the numbers that were predicted; None where none were.
    """

    references: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    positive: int = 1
    favourable: Literal["positive", "negative"] | None = None
    against: dict[str, str] = Field(default_factory=dict)
    vary: bool = True
    test_share: float | None = None
    task: str = ""
    model: str = ""
    kind: str = "classification"
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unmatched: tuple[tuple[str, str], ...] = ()
    ranks: dict[str, Rank] = Field(default_factory=dict)
    membership: MembershipDesign | None = None
    asked: AskedDesign | None = None
    harness: HarnessDesign | None = None
    generations: GenerationsDesign | None = None
    probed: ProbedDesign | None = None
    regression: RegressionDesign | None = None


class DeclaredMeasure(Spec):
    """A measure of one audit's own, for numbers whose meaning only the person who audits knows.

    Attributes:
        name: of the measure, which margins and policies use; in records the name of the values, or of the metric
            unless `metric` is given.
        kind: of the records: `benchmarks`, a metric of a benchmark that the package does not know; `values`, a column
            of numbers.
        more_is: what a larger number means; with `neither` there are two-sided verdicts.
        range: the least and the largest possible number; None: it has no bounds.
        mean: whether it is a mean over examples; else the number of a whole benchmark, which is shown without an
            interval and is not compared.
        scale: of values, on which groups and methods are compared: means of the numbers as they are (`identity`), of
            their logarithms (`log`), or the probability that a number of a group is larger than one of its rest
            (`rank`).
        shares: of values, whether each is 0 or 1, so that the mean is a share.
        digits: of values, decimals that they are shown with.
        metric: of benchmarks, the metric's name in records where another measure has that name; None: `name`.
    """

    name: str = Field(min_length=1)
    kind: Literal["benchmarks", "values"]
    more_is: Literal["worse", "better", "neither"] = "neither"
    range: Range | None = None
    mean: bool = True
    scale: Literal["identity", "log", "rank"] = "identity"
    shares: bool = False
    digits: int = Field(default=3, ge=0)
    metric: str | None = None

    @property
    def recorded(self) -> str:
        """The name of the metric or the values in records."""
        return self.metric or self.name

    @property
    def subject(self) -> str:
        """What the numbers are, in messages."""
        return f'the {"column" if self.kind == "values" else "metric"} "{self.recorded}"'


class SubgroupsDesign(Spec):
    """Which conjunctions of groups are searched for one that fares worse.

    Attributes:
        depth: the most groups of a conjunction.
        support: the fewest resampling units of one.
        cuts: by numeric attribute the number of classes of about equal size, or the upper ends of all classes but the
            last.
    """

    depth: int = Field(default=3, ge=1, le=6)
    support: int = Field(default=50, ge=2)
    cuts: dict[str, int | tuple[float, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _cuts_ascend(self) -> SubgroupsDesign:
        for name, cuts in self.cuts.items():
            if isinstance(cuts, int):
                if cuts < 2:
                    raise ValueError(f"cuts.{name}: a number of classes is 2 or more, not {cuts}")
            elif not cuts or any(high <= low for low, high in pairwise(cuts)):
                raise ValueError(f"cuts.{name}: the ends of classes ascend, such as [30, 50], not {list(cuts)}")
        return self


class MarginChange(Spec):
    """A declaration or change of margins with its date; a margin is worth most if declared before looking."""

    date: str
    margins: dict[str, float]


Waited = Literal["everyone", "groups", "gap changes", "gaps"]
"""What a study waits for: changes of everyone and of each group, gap changes, and gaps of single methods."""


class LooksDesign(Spec):
    """The planned looks at a study that adds seeds until its comparisons are decided (`evenhand.audit.looks`).

    Attributes:
        seeds: the number of seeds at each planned look, ascending; the seeds of a look are 0, 1, … below it.
        taken: how many of these looks were taken.
        measures: those whose comparisons are waited for.
        comparisons: which of their comparisons are.
        groups: the groups whose comparisons are, by name or as ATTRIBUTE=GROUP; none: all.
    """

    seeds: tuple[int, ...] = Field(min_length=1)
    taken: int = Field(ge=1)
    measures: tuple[str, ...]
    comparisons: tuple[Waited, ...]
    groups: tuple[str, ...] = ()

    def waits_for(self, attribute: str | None, group: str | None) -> bool:
        """Whether the study waits for a group, or for one of this name in any attribute."""
        return not self.groups or group in self.groups or f"{attribute}={group}" in self.groups

    @model_validator(mode="after")
    def _was_planned(self) -> LooksDesign:
        if self.taken > len(self.seeds):
            raise ValueError(f"taken: {self.taken} looks were taken, and {len(self.seeds)} were planned")
        return self


class Design(Spec):
    """The design of all settings; built by a study or the audit command, saved beside the records as `design.json`.

    Attributes:
        settings: by name.
        measures: names from `evenhand.audit.measures`; empty means the defaults.
        declared: measures besides those that every audit knows.
        gaps: whether the gaps of each method get verdicts where there is a reference, too.
        thresholds: whether rates are computed at every threshold on the probability of the positive class, too.
        margins: by measure; `default` serves measures on a 0–1 scale.
        margin_history: earlier declarations, oldest first.
        support: see DEFAULT_SUPPORT.
        alpha: one-sided level of a verdict; verdict intervals are 1 − 2·alpha.
        paired: "example" (by id), "order" (row order agreed), or "none" (unpaired; said in the report).
        source: where the records came from: a study's name or a table's file name.
        figure: what the results are drawn as besides the report's own charts, in that order.
        looks: of a study that adds seeds until it is decided; alpha is then the level of all looks together.
        subgroups: which conjunctions of groups are searched; None: none.
    """

    settings: dict[str, SettingDesign]
    measures: tuple[str, ...] = ()
    declared: tuple[DeclaredMeasure, ...] = ()
    gaps: bool = False
    thresholds: bool = False
    margins: dict[str, float] = Field(default_factory=dict)
    margin_history: tuple[MarginChange, ...] = ()
    support: int = DEFAULT_SUPPORT
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    paired: Literal["example", "order", "none"] = "example"
    source: str = ""
    figure: Figures = ()
    looks: LooksDesign | None = None
    subgroups: SubgroupsDesign | None = None
