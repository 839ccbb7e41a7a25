"""The sections of the report that have charts and tables, one entry each, in the reader's order.

A new kind of records needs an entry here. The page, Markdown and the picture files loop over the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evenhand.audit.measures import Kind, of_kind, shown_in
from evenhand.report.answers import answer_blocks
from evenhand.report.benchmarks import benchmark_blocks, benchmarks_explained
from evenhand.report.blocks import Block
from evenhand.report.detectable_harm import harm_blocks, loss_grids
from evenhand.report.group_charts import accuracy_blocks, disparity_blocks
from evenhand.report.looks import ABOUT as ABOUT_LOOKS
from evenhand.report.looks import look_grids
from evenhand.report.membership import membership_grids
from evenhand.report.membership_sentences import correlation_lines
from evenhand.report.number_text import NONE
from evenhand.report.numbers import number_blocks, regression_blocks
from evenhand.report.plane import plane_blocks
from evenhand.report.probes import probe_blocks
from evenhand.report.ratios import ratio_grids
from evenhand.report.reliability import reliability_blocks
from evenhand.report.reportable import Reportable, levels
from evenhand.report.roc import roc_blocks
from evenhand.report.sizes import size_blocks, size_grids
from evenhand.report.subgroups import subgroup_blocks, subgroup_grids, subgroup_lines
from evenhand.report.tables import Grid, estimate_grids
from evenhand.report.thresholds import threshold_blocks, threshold_grids
from evenhand.report.translations import translation_blocks
from evenhand.report.wording import measure_named, one_run_each

Tables = list[tuple[str, str, list[Grid]]]
"""Tables by setting and split."""

OVER_SEEDS = "Means over seeds with 95% intervals."
ONE_RUN = "With 95% intervals."
"""Replaces the sentence on means and intervals where every method has one run."""


@dataclass(frozen=True)
class Section:
    """One section of the report: its texts, charts and tables.

    Attributes:
        id, name, title: for the page's links, for its list of sections, and for headings.
        about: how to read the section, in HTML.
        blocks: its charts.
        tables: its tables.
        lines: sentences about a setting and split that has tables.
        present: whether the report has the section; by default if it has charts or tables.
        absent: replaces `about` where the section has no charts, in HTML.
        opened: the table of a setting and split that is open on the page.
        values: the sentence on the means and intervals of its values, which ends `about`; in HTML.
        explained: further sentences of `about` that these results need; in HTML.
    """

    id: str
    name: str
    title: str
    about: str
    blocks: Callable[[Reportable], list[Block]] = lambda results: []
    tables: Callable[[Reportable], Tables] = lambda results: []
    lines: Callable[[Reportable, str, str], list[str]] = lambda results, setting, split: []
    present: Callable[[Reportable], bool] | None = None
    absent: str = ""
    opened: Literal["first", "last", "none"] = "first"
    values: str = ""
    explained: Callable[[Reportable], str] = lambda results: ""


@dataclass(frozen=True)
class Content:
    """The charts, tables and sentences of a section for given results."""

    section: Section
    blocks: Sequence[Block]
    tables: Tables
    lines: Mapping[tuple[str, str], Sequence[str]]
    one_run: bool = False
    explained: str = ""

    @property
    def about(self) -> str:
        """How to read the section, or why it is empty, in HTML."""
        if self.section.absent and not self.blocks:
            return self.section.absent
        values = ONE_RUN if self.one_run and self.section.values else self.section.values
        return " ".join(filter(None, [self.section.about, self.explained, values]))

    @property
    def caption(self) -> str:
        """The ending of the titles of its tables in documents; empty where these need none."""
        if not self.section.values:
            return ""
        return ", with 95% intervals" if self.one_run else ", mean over seeds with 95% intervals"


def contents(results: Reportable, charts: bool = True) -> list[Content]:
    """The contents of the sections that these results have; without charts if only tables are needed.

    A section that would say only why it is empty is left out where every method has one run.
    """
    made, one_run = [], one_run_each(results.trials)
    for section in SECTIONS:
        if section.present is None or section.present(results):
            tables, blocks = section.tables(results), section.blocks(results) if charts else []
            empty = not tables and not blocks
            if not empty or (section.present is not None and not one_run):
                lines = {(setting, split): section.lines(results, setting, split) for setting, split, _ in tables}
                made.append(Content(section, blocks, tables, lines, one_run, section.explained(results)))
    return made


def _tables_of(kind: Kind) -> Callable[[Reportable], Tables]:
    """The tables of the measures of a kind of records, a row per group or condition, a column per method."""

    def tables(results: Reportable) -> Tables:
        shown = [name for name in of_kind(kind) if measure_named(name).display.tabled]
        return estimate_grids(levels(results), results.design, shown)

    return tables


def _tables_shown_in(part: str) -> Callable[[Reportable], Tables]:
    def tables(results: Reportable) -> Tables:
        return estimate_grids(levels(results), results.design, [measure.name for measure in shown_in(part)])

    return tables


def _of_predictions(results: Reportable) -> bool:
    """Whether predictions were audited; true also without any estimates."""
    return levels(results).is_empty() or levels(results)["measure"].is_in(of_kind("predictions")).any()


def _always(results: Reportable) -> bool:
    return True


SECTIONS = (
    Section("looks", "Looks", "Looks at the study", ABOUT_LOOKS, tables=look_grids),
    Section(
        "subgroups",
        "Subgroups",
        "Which people, exactly",
        "All conjunctions of groups were searched for one that fares worse: than the rest (<em>gap</em>), with a "
        "method than with its reference (<em>change</em>), or in how that gap changes. The worst of so many looks bad "
        "by chance alone, so each is compared with the worst of as many in data without any disparity: what stays "
        "inside the grey band of the chart is what a search finds anyway. P-values and intervals hold over everything "
        "that was searched. A subgroup that adds nothing to a larger one folds under it; <em>driven by</em> divides "
        "its contrast among its groups (Shapley values).",
        subgroup_blocks,
        subgroup_grids,
        subgroup_lines,
    ),
    Section(
        "harm",
        "Detectable harm",
        "Detectable harm",
        "A study that finds no harm may have been unable to find it. So harm was planted: correct predictions of the "
        "method were made wrong until a group had lost some of its accuracy, and its contrast was judged again. The "
        "chart shows the loss that studies like this one call <em>worse</em> with 50%, 80% and 90% power. Where it is "
        "large, an <em>inconclusive</em> verdict says little.",
        harm_blocks,
        lambda results: loss_grids(results.curves, results.design),
        opened="none",
    ),
    Section(
        "membership",
        "Membership inference",
        "Membership inference",
        "Can an attack infer from a model’s confidence whether an example was in its training set? On the dashed line "
        "it only guesses; the height of the curve above that line matters at few false positives, on the left. All "
        "models of a method are taken together under one threshold. At the <em>group threshold</em> a group’s own "
        "non-members decide, so that its rate is what the group itself leaks; at the <em>pooled threshold</em> all "
        "non-members do, so that it is the rate of an attacker who does not know the groups. A rate needs three "
        "expected false positives: with fewer non-members it is refused, and the curve is drawn regardless.",
        roc_blocks,
        lambda results: membership_grids(levels(results), results.design),
        lambda results, setting, split: correlation_lines(levels(results), results.design, setting, split),
    ),
    Section(
        "translation",
        "Translations",
        "Translations",
        "The source does not say whether somebody is he or she, so the model must choose. <em>Pro</em> is the gender "
        "that is stereotypical of the occupation, <em>anti</em> the other; a model without a preference has as much of "
        "both. Texts with both genders, with “they” or without a pronoun are counted separately, and all five shares "
        "add up to 1. BLEU and ROUGE-L take each sentence with he, she and they as a reference, so that no pronoun "
        "costs points.",
        translation_blocks,
        _tables_of("translations"),
        values=OVER_SEEDS,
    ),
    Section(
        "answers",
        "Answers to prompts",
        "Answers to prompts",
        "A model is asked who wrote a text: a review that says nothing of its author, or what a user wrote. The "
        "<em>lean</em> is the share of one gender among its guesses of either, minus ½, with its sign; the "
        "<em>distance from guessing both equally</em> is how far that is from 0. A model may also choose “A” for "
        "being “A”, the first option for standing first, or “yes” whatever is asked: those pulls are shown as well, "
        "and <em>permutation</em> and <em>PriDe</em> are two ways to remove the effect of identifiers and positions, "
        "but never a preference for a gender, from an answer. Where the options together have little probability the "
        "model would have said something else. A row about several questions generalizes to others like them: its "
        "interval includes how they differ.",
        answer_blocks,
        _tables_of("options"),
        values=OVER_SEEDS,
    ),
    Section(
        "benchmarks",
        "Benchmarks",
        "Benchmarks",
        "Scored by an evaluation harness, lm-evaluation-harness or Inspect, under its own names; the mean over "
        "documents is the harness’s number. Documents made from one template by exchanging names, or about one target, "
        "form one unit of the interval.",
        benchmark_blocks,
        _tables_of("benchmarks"),
        values=OVER_SEEDS,
        explained=benchmarks_explained,
    ),
    Section(
        "probes",
        "Representations",
        "Information in representations",
        "Linear probes read a target, such as somebody’s gender, from the frozen states of each layer; they are "
        "trained on some examples and tested on others. A probe may also memorize which word or text has which value, "
        "or guess: on <em>control tasks</em> values are drawn at random, once per occupation or text, and its accuracy "
        "there is subtracted. <em>Selectivity</em> is the difference. Two baselines show the part that training plays: "
        "layer 0, the embeddings, and an <em>untrained</em> model of the same architecture. That a state encodes "
        "something does not mean that the model uses it. The designer of the study declared whether more is worse.",
        probe_blocks,
        _tables_of("probes"),
        opened="last",
        values="Means over seeds with 95% intervals, which include the variation of seeds, of tested examples and of "
        "control tasks.",
    ),
    Section(
        "values",
        "Values",
        "Values",
        "Means of the columns of numbers that were named, or of scores of what models wrote, in their own units. On a "
        "log scale they are means of natural logarithms, whose differences are logarithms of ratios of geometric "
        "means: 0.1 is about 10%. By rank, the "
        "number of a group is the probability that one of its values is larger than one of the rest, and ½ means "
        "neither is; the gap is the distance between that probability and the opposite one. Where no range of the "
        "values was declared, differences are not judged if the values are too skewed for their number.",
        number_blocks("values"),
        _tables_of("values"),
        values=OVER_SEEDS,
    ),
    Section(
        "regression",
        "Errors",
        "Errors of predicted numbers",
        "In units of the label. The <em>mean error</em> is prediction minus label: above 0 a group is overestimated. "
        "<em>R²</em> also depends on how much the labels of a group vary, so it is shown and not judged. On the dashed "
        "line of the last charts, predictions are right on average.",
        regression_blocks,
        _tables_of("regression"),
        values=OVER_SEEDS,
    ),
    Section(
        "accuracy",
        "Accuracy",
        "Accuracy of groups",
        "In brackets: how many distinct examples were tested.",
        accuracy_blocks,
        _tables_shown_in("accuracy"),
        present=_of_predictions,
        opened="none",
        values="Means over seeds with 95% intervals that include both sources of variation, seeds and test examples.",
    ),
    Section(
        "disparities",
        "Disparities",
        "Disparities",
        "Demographic parity compares how often groups are predicted positive; equalized odds compares true and false "
        "positive rates and takes the larger difference. <em>Between groups</em> is the largest minus the smallest, "
        "which is above 0 by chance alone: compare it with its noise floor, the grey tick, and with the reference’s "
        "value where there is one. Of 100 studies without any disparity at these group sizes, 95 stay below the tick. "
        "The band, where there is one, is the reference’s value ± the margin.",
        disparity_blocks,
        present=_of_predictions,
        absent="No disparities were measured, or the study is too large to draw them class by class: see the tables "
        "of all estimates.",
    ),
    Section(
        "plane",
        "Accuracy and fairness",
        "Accuracy and fairness of methods",
        "Each point is a method. The lower right is best: accurate, with small differences between groups. Such a "
        "difference is above 0 by chance alone, so methods whose bars overlap need not differ: the verdicts decide.",
        plane_blocks,
    ),
    Section(
        "ratios",
        "Ratios",
        "Demographic parity ratios",
        "A group’s selection rate (the share predicted positive) divided by the selection rate of those it is compared "
        "with; 1 means equal rates. The <em>four-fifths rule</em> asks for a ratio of at least 0.8. It is tested as a "
        "difference, the group’s rate minus 0.8 times the other rate: it <em>passes</em> if the whole interval is "
        "above 0, <em>fails</em> if all of it is below, and is <em>inconclusive</em> otherwise. The rule applies to "
        "predictions that people want to get, such as being hired.",
        tables=ratio_grids,
        opened="none",
        values="Of the mean rates over seeds, with 95% intervals.",
    ),
    Section(
        "calibration",
        "Reliability",
        "Reliability",
        "On the dashed line a confidence of 70% is right 70% of the time; below it the model is overconfident.",
        reliability_blocks,
        present=_of_predictions,
        absent="There are no curves: only labels were predicted, no probabilities.",
    ),
    Section(
        "thresholds",
        "Thresholds",
        "Rates over the threshold",
        "An example whose probability lies above the threshold is predicted positive. Each line shows a group’s rate "
        "if all groups had that threshold; the vertical line is the threshold in use. Bands are 95% intervals at each "
        "threshold by itself: a whole curve leaves its band more often. The tables name the groups with the lowest and "
        "the highest rate. Of several groups these differ by chance alone, so that a threshold chosen for the smallest "
        "difference here looks better than it will be on other examples.",
        threshold_blocks,
        threshold_grids,
        opened="none",
    ),
    Section(
        "estimates",
        "All estimates",
        "All estimates",
        f"{NONE} means that the value could not be computed; the number beside it refers to the reason.",
        tables=lambda results: estimate_grids(results.estimates, results.design),
        present=_always,
        opened="none",
        values=OVER_SEEDS,
    ),
    Section(
        "sizes",
        "Group sizes",
        "Sizes of groups",
        "All examples of the data, by group and class. An example in two groups of an attribute counts in both.",
        size_blocks,
        size_grids,
        present=_always,
        absent="No groups were given.",
        opened="none",
    ),
)
"""All sections in the reader's order; they come after the verdicts."""
