"""The measures that an audit knows: what each says, which direction is worse, where it is taken, what decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from evenhand.audit.linear import (
    Effect,
    Level,
    Place,
    Rate,
    View,
    complement_effect,
    larger,
    range_effect,
    rate_effect,
    undefined,
    worst_effect,
)
from evenhand.audit.reliability import plug_in_effect, squared_effect
from evenhand.audit.translated import bleu_effect, gender_effect, lean_effect, outcome_effect, rouge_effect
from evenhand.errors import InputError, did_you_mean
from evenhand.metrics.translation import StereotypeOutcome

RANGE_NOTE = "max − min is biased upward at these group sizes: the interval is about its expectation at these sizes"
PLUG_IN_NOTE = "plug-in ECE is biased at these sizes: the verdict on calibration is that of calibration_error_squared"


@dataclass(frozen=True)
class Measure:
    """A named quantity computed from predictions, translations, options, benchmarks, probes, or membership scores.

    Attributes:
        name: as in records; fairlearn's where it has one.
        summary: one line for `evenhand list measures`.
        worse: +1 where more is less fair or less useful, −1 where more is better, 0 where neither: then there are
            estimates and no contrasts. A contrast is (method − reference)·worse.
        levels: where it is taken: everyone, each group, an attribute's groups together.
        effect: its value and contributions for one run at one place.
        scale: "share" is 0–1 and served by `margins.default`; "own" needs a margin of its own.
        proportion: a share of examples, which gets Wilson's interval.
        by_class: with more than two classes, taken one class against the rest.
        decides: whether its contrast gets a verdict.
        notes: what a reader of its rows must know, by level.
        range: of its values, where it is known and not that of a share.
    """

    name: str
    summary: str
    worse: Literal[-1, 0, 1]
    levels: tuple[Level, ...]
    effect: Callable[[View, Place], Effect]
    scale: Literal["share", "own"] = "share"
    proportion: bool = False
    by_class: bool = False
    decides: bool = True
    notes: tuple[tuple[Level, str], ...] = ()
    range: tuple[float, float] | None = None

    def note(self, level: Level) -> str | None:
        return dict(self.notes).get(level)

    def margin(self, margins: Mapping[str, float]) -> float | None:
        """The margin of its contrasts; `default` serves measures on a 0–1 scale that decide."""
        if not self.decides:
            return None
        return margins.get(self.name, margins.get("default") if self.scale == "share" else None)


def _rate(name: Rate, summary: str, worse: Literal[-1, 0, 1]) -> Measure:
    effect = partial(rate_effect, rate=name)
    by_class = name != "accuracy"
    return Measure(name, summary, worse, ("everyone", "group"), effect, proportion=True, by_class=by_class)


def _parity(view: View, place: Place) -> Effect:
    between = range_effect if place.level == "attribute" else complement_effect
    return between(view, place, "selection_rate")


def _odds(view: View, place: Place) -> Effect:
    between = range_effect if place.level == "attribute" else complement_effect
    return larger(between(view, place, "true_positive_rate"), between(view, place, "false_positive_rate"))


_EVERYWHERE: tuple[Level, ...] = ("everyone", "group")
_BETWEEN: tuple[Level, ...] = ("attribute", "group")
_RANGE: tuple[tuple[Level, str], ...] = (("attribute", RANGE_NOTE),)
_PLUG_IN: tuple[tuple[Level, str], ...] = tuple((level, PLUG_IN_NOTE) for level in _EVERYWHERE)

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        _rate("accuracy", "share of examples whose predicted class is the true one", -1),
        Measure(
            "worst_group_accuracy",
            "accuracy of the group with the lowest",
            -1,
            ("attribute",),
            partial(worst_effect, rate="accuracy"),
            notes=(("attribute", "the lowest of several is biased downward at these group sizes"),),
        ),
        Measure(
            "accuracy_difference",
            "accuracy of the best group minus that of the worst",
            1,
            ("attribute",),
            partial(range_effect, rate="accuracy"),
            notes=_RANGE,
        ),
        _rate("selection_rate", "share predicted positive; no direction is worse, so there is no verdict", 0),
        _rate("true_positive_rate", "share of the positives predicted positive; estimates only", 0),
        _rate("false_positive_rate", "share of the negatives predicted positive; estimates only", 0),
        Measure(
            "demographic_parity_difference",
            "difference in selection rates: between the groups of an attribute, or a group and its complement",
            1,
            _BETWEEN,
            _parity,
            by_class=True,
            notes=_RANGE,
        ),
        Measure(
            "equalized_odds_difference",
            "the larger of the differences in true and false positive rates: between groups, or group and complement",
            1,
            _BETWEEN,
            _odds,
            by_class=True,
            notes=_RANGE,
        ),
        Measure(
            "expected_calibration_error",
            "mean gap between confidence and outcome over 15 equal-width bins (plug-in, biased; no verdict)",
            1,
            _EVERYWHERE,
            plug_in_effect,
            decides=False,
            notes=_PLUG_IN,
        ),
        Measure(
            "calibration_error_squared",
            "debiased squared gap between confidence and outcome; decides on calibration, needs a margin of its own",
            1,
            _EVERYWHERE,
            squared_effect,
            scale="own",
        ),
    )
}


def _of_scores(view: View, place: Place) -> Effect:
    return undefined("taken of membership scores, not of predictions", len(place.rows))


MEMBERSHIP: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "membership_auc",
            "chance that a score ranks a member above a non-member; .5: nothing leaks",
            1,
            _EVERYWHERE,
            _of_scores,
        ),
        Measure(
            "membership_balanced_accuracy",
            "(TPR + 1 − FPR)/2 of telling members, at the threshold that is best for the other models",
            1,
            _EVERYWHERE,
            _of_scores,
        ),
        Measure(
            "membership_tpr_at_fpr_0.01",
            "share of the members found where 1% of the non-members are called members; needs a margin of its own",
            1,
            _EVERYWHERE,
            _of_scores,
            scale="own",
            proportion=True,
        ),
        Measure(
            "membership_tpr_at_fpr_0.001",
            "the same where .1% of the non-members are called members",
            1,
            _EVERYWHERE,
            _of_scores,
            scale="own",
            proportion=True,
        ),
        *(
            Measure(name, summary, 0, _EVERYWHERE, _of_scores, scale="own")
            for name, summary in (
                ("membership_train_loss", "mean cross-entropy on the examples that a model was trained on"),
                ("membership_test_loss", "the same on the examples of the pool that it was not trained on"),
                ("membership_generalization_gap", "test loss minus train loss: what the loss alone tells of members"),
                ("membership_train_accuracy", "accuracy on the examples that a model was trained on"),
                ("membership_test_accuracy", "the same on the examples of the pool that it was not trained on"),
                ("membership_accuracy_gap", "train accuracy minus test accuracy"),
            )
        ),
        Measure(
            "membership_size_correlation",
            "Spearman correlation of groups' AUC with their size, from 4 groups; estimates only",
            0,
            ("attribute",),
            _of_scores,
            scale="own",
        ),
        Measure(
            "membership_gap_correlation",
            "Spearman correlation of groups' AUC with their generalization gap in loss, from 4 groups; estimates only",
            0,
            ("attribute",),
            _of_scores,
            scale="own",
        ),
        Measure(
            "membership_auc_difference",
            "AUC of the group that leaks most minus that of the one that leaks least",
            1,
            ("attribute",),
            _of_scores,
            notes=_RANGE,
        ),
        Measure(
            "membership_tpr_at_fpr_0.01_difference",
            "the same of TPR at 1% FPR, at thresholds of the groups themselves; estimates only",
            0,
            ("attribute",),
            _of_scores,
            scale="own",
            notes=_RANGE,
        ),
    )
}
"""What an audit says of membership scores; `audit.privacy` works them out, all models of a method together."""


_OUTCOMES: Mapping[StereotypeOutcome, str] = {
    "anti": "with the other gender",
    "neutral": "with they, them or their",
    "mixed": "with pronouns of both genders",
    "none": "without any such pronoun",
}

TRANSLATION: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "pro_share",
            "share of translations that give somebody the gender stereotypical of their occupation",
            1,
            _EVERYWHERE,
            partial(outcome_effect, outcome="pro"),
            proportion=True,
        ),
        *(
            Measure(
                f"{outcome}_share",
                f"share of translations {said}; estimates only",
                0,
                _EVERYWHERE,
                partial(outcome_effect, outcome=outcome),
                proportion=True,
            )
            for outcome, said in _OUTCOMES.items()
        ),
        Measure(
            "stereotype_lean",
            "pro_share minus anti_share, from −1 to 1: 0 where neither gender is preferred; needs a margin of its own",
            1,
            _EVERYWHERE,
            lean_effect,
            scale="own",
            range=(-1.0, 1.0),
        ),
        Measure(
            "male_share",
            "share of translations with he, him or his, of all; estimates only",
            0,
            _EVERYWHERE,
            partial(gender_effect, gender="male"),
            proportion=True,
        ),
        Measure(
            "bleu",
            "corpus BLEU, 0–100, on generated text, the references under each pronoun; needs a margin of its own",
            -1,
            _EVERYWHERE,
            bleu_effect,
            scale="own",
            range=(0.0, 100.0),
        ),
        Measure(
            "rouge_l",
            "mean ROUGE-L, 0–1, on generated text, the references under each pronoun",
            -1,
            _EVERYWHERE,
            rouge_effect,
        ),
    )
}
"""What an audit says of translations, the rows of `responses`."""


def _of_options(view: View, place: Place) -> Effect:
    return undefined("taken of options, not of predictions", len(place.rows))


_ASKED: tuple[Level, ...] = ("everyone",)

OPTIONS: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "distance_from_equal",
            "|share of one gender among guesses of either − ½|, 0–.5: how far a model is from guessing both equally",
            1,
            _ASKED,
            _of_options,
            range=(0.0, 0.5),
            notes=(("everyone", "a distance is biased upward near 0: the guess lean has its sign"),),
        ),
        Measure(
            "guess_lean",
            "the same with its sign, positive for the first, male; estimates only",
            0,
            _ASKED,
            _of_options,
            range=(-0.5, 0.5),
            scale="own",
        ),
        Measure(
            "content_effect",
            "log-odds by which one gender beats the other, however small a guess would hide it; needs its own margin",
            1,
            _ASKED,
            _of_options,
            range=(0.0, math.inf),
            scale="own",
            notes=(("everyone", "a distance is biased upward near 0: the content log-odds have their sign"),),
        ),
        Measure(
            "content_log_odds",
            "the same with its sign, positive for the first, male; estimates only",
            0,
            _ASKED,
            _of_options,
            scale="own",
        ),
        Measure(
            "guess_accuracy",
            "share of guesses of a gender that are the author's, where examples have it as a group; estimates only",
            0,
            _ASKED,
            _of_options,
        ),
        Measure(
            "identifier_effect",
            "log-odds by which the most preferred of A, B, … beats the least, whatever they name; needs its own margin",
            1,
            _ASKED,
            _of_options,
            range=(0.0, math.inf),
            scale="own",
        ),
        Measure(
            "position_effect",
            "log-odds by which the most preferred position beats the least, whatever is there; needs its own margin",
            1,
            _ASKED,
            _of_options,
            range=(0.0, math.inf),
            scale="own",
        ),
        Measure(
            "yes_effect",
            "log-odds of yes whatever is asked, the mean of a question and its negation; estimates only",
            0,
            _ASKED,
            _of_options,
            scale="own",
        ),
        Measure(
            "flip_rate",
            "chance that two orders of the same options are answered with different contents",
            1,
            _ASKED,
            _of_options,
        ),
        Measure(
            "negation_consistency",
            "share of yes/no answers that agree with the answer to the negated question",
            -1,
            _ASKED,
            _of_options,
        ),
        Measure(
            "option_mass",
            "probability of all options together; where it is small the model would say something else",
            -1,
            _ASKED,
            _of_options,
        ),
    )
}
"""What an audit says of answers to prompts, the rows of `options`; `audit.asked` works them out."""


def _of_benchmarks(view: View, place: Place) -> Effect:
    return undefined("taken of benchmarks, not of predictions", len(place.rows))


_DISTANCE: tuple[tuple[Level, str], ...] = tuple(
    (level, "a distance is biased upward near 0: the share or score itself has the sign") for level in _EVERYWHERE
)


def _benchmark(name: str, summary: str, worse: Literal[-1, 0, 1], **more: Any) -> Measure:
    return Measure(name, summary, worse, more.pop("levels", _EVERYWHERE), _of_benchmarks, **more)


HARNESS: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        *(
            made
            for ending, how in (("", "log-likelihood"), ("_norm", "log-likelihood per byte"))
            for made in (
                _benchmark(
                    f"pct_stereotype{ending}",
                    f"share of pairs in which the stereotype has the higher {how}; .5: no preference; estimates only",
                    0,
                ),
                _benchmark(
                    f"pct_stereotype{ending}_distance",
                    f"|pct_stereotype{ending} − ½|, 0–.5: how far from preferring both equally",
                    1,
                    range=(0.0, 0.5),
                    notes=_DISTANCE,
                ),
                _benchmark(
                    f"pct_meaningful{ending}",
                    f"share of sentences about a target with a higher {how} than one that means nothing (StereoSet)",
                    -1,
                ),
                _benchmark(
                    f"icat{ending}",
                    f"pct_meaningful{ending} · (1 − 2·distance of pct_stereotype{ending}), StereoSet's; estimates only",
                    0,
                ),
                _benchmark(f"acc{ending}", f"accuracy of the option with the highest {how}", -1),
                _benchmark(
                    f"acc{ending}_gap",
                    "accuracy on sentences with he against those with she, |difference|, 0–1 (Winogender)",
                    1,
                    levels=("everyone",),
                    notes=_DISTANCE,
                ),
            )
        ),
        *(
            made
            for kind, when in (("amb", "where the context does not tell"), ("disamb", "where the context tells"))
            for made in (
                _benchmark(
                    f"{kind}_bias_score",
                    f"BBQ's bias score {when}, −1 to 1, above 0 along the stereotype; estimates only",
                    0,
                    range=(-1.0, 1.0),
                    scale="own",
                ),
                _benchmark(
                    f"{kind}_bias_distance",
                    f"|{kind}_bias_score|, 0–1: how far from answering along and against stereotypes equally",
                    1,
                    notes=_DISTANCE,
                ),
            )
        ),
        _benchmark(
            "likelihood_diff",
            "mean |difference in log-likelihood| between the sentences of a pair (CrowS-Pairs); estimates only",
            0,
            scale="own",
            range=(0.0, math.inf),
        ),
    )
}
"""What an audit says of benchmarks that lm-evaluation-harness scored, the rows of `harness`, under its own names for
metrics; `audit.harness` works them out."""


def _of_probes(view: View, place: Place) -> Effect:
    return undefined("taken of probes, not of predictions", len(place.rows))


PROBES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "probe_accuracy",
            "share of held-out examples whose target a linear probe tells from a layer's states; estimates only",
            0,
            _ASKED,
            _of_probes,
            proportion=True,
        ),
        Measure(
            "control_accuracy",
            "the same of targets drawn at random per type: what a probe learns by heart or guesses; estimates only",
            0,
            _ASKED,
            _of_probes,
        ),
        Measure(
            "selectivity",
            "probe accuracy minus control accuracy: what the states say; whether more is worse is declared by target",
            1,
            _ASKED,
            _of_probes,
            range=(-1.0, 1.0),
        ),
    )
}
"""What an audit says of probes of representations, the rows of `probes`; `audit.encoded` works them out."""


def known() -> dict[str, Measure]:
    """Every measure by its name."""
    return {**MEASURES, **TRANSLATION, **OPTIONS, **HARNESS, **PROBES, **MEMBERSHIP}


def list_measures() -> list[tuple[str, str]]:
    """Name and summary of every measure, for `evenhand list measures`."""
    return [(measure.name, measure.summary) for measure in known().values()]


def select(names: Iterable[str]) -> list[Measure]:
    """The measures of predictions of these names, in the registry's order; all of them for no names.

    Raises:
        InputError: a name that no measure has, of predictions or of membership, with the nearest known one.
    """
    return _chosen(names, MEASURES)


def select_translation(names: Iterable[str]) -> list[Measure]:
    """The measures of translations of these names. Args, Raises: `select`."""
    return _chosen(names, TRANSLATION)


def select_options(names: Iterable[str]) -> list[Measure]:
    """The measures of options of these names. Args, Raises: `select`."""
    return _chosen(names, OPTIONS)


def select_harness(names: Iterable[str]) -> list[Measure]:
    """The measures of benchmarks of these names. Args, Raises: `select`."""
    return _chosen(names, HARNESS)


def select_probes(names: Iterable[str]) -> list[Measure]:
    """The measures of probes of these names. Args, Raises: `select`."""
    return _chosen(names, PROBES)


def select_membership(names: Iterable[str]) -> list[Measure]:
    """The measures of membership scores of these names. Args, Raises: `select`."""
    return _chosen(names, MEMBERSHIP)


def _chosen(names: Iterable[str], measures: Mapping[str, Measure]) -> list[Measure]:
    names = list(names)
    for name in names:
        if name not in known():
            raise InputError(f'there is no measure "{name}"; {did_you_mean(name, known())}')
    return [measure for measure in measures.values() if not names or measure.name in names]
