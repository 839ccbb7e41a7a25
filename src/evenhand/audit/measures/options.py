"""Defines the measures of answers to prompts: preference for a gender, and biases to letters, positions and yes."""

from __future__ import annotations

import math

from evenhand.audit.measures import option_quantities as quantities
from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import ASKED, UNLIMITED, Measure, by_name

_LEAN = Display(
    "answers",
    "as answered",
    corrected={
        "permutation": "after permutation",
        "PriDe": "after PriDe",
        "contextual calibration": "after calibration",
    },
    even=0.0,
    signed=True,
    judged_by="distance_from_equal",
)

_FORMAT = Display(points=True, question="answer format")

OPTIONS = by_name(
    Measure(
        "distance_from_equal",
        "options",
        "|share of one gender among guesses of either − ½|, 0–.5: how far a model is from guessing both equally",
        1,
        ASKED,
        quantities.guess_lean,
        title="distance from guessing both equally",
        display=Display(
            detectable="the distance from guessing both equally",
            worse="guesses more one-sidedly",
            not_worse="guess more one-sidedly",
            points=True,
        ),
        limits=(0.0, 0.5),
        distance_from=0.0,
        notes=(("everyone", "a distance is biased upward near 0: the guess lean gives the sign"),),
    ),
    Measure(
        "guess_lean",
        "options",
        "the same with its sign, positive for the first, male; estimates only",
        0,
        ASKED,
        quantities.guess_lean,
        title="lean of guesses (share − ½)",
        display=_LEAN,
        limits=(-0.5, 0.5),
        default_margin=False,
    ),
    Measure(
        "content_effect",
        "options",
        "log-odds by which one gender beats the other, however small a guess would hide it; needs its own margin",
        1,
        ASKED,
        quantities.content_log_odds,
        limits=(0.0, math.inf),
        default_margin=False,
        distance_from=0.0,
        notes=(("everyone", "a distance is biased upward near 0: the content log-odds give the sign"),),
    ),
    Measure(
        "content_log_odds",
        "options",
        "the same with its sign, positive for the first, male; estimates only",
        0,
        ASKED,
        quantities.content_log_odds,
        title="log-odds of one gender against the other",
        display=Display("answers", "how strongly", even=0.0, signed=True, judged_by="content_effect"),
        limits=UNLIMITED,
        default_margin=False,
    ),
    Measure(
        "guess_accuracy",
        "options",
        "share of guesses of a gender that are the author's, where examples have it as a group; estimates only",
        0,
        ASKED,
        quantities.guess_accuracy,
    ),
    Measure(
        "identifier_effect",
        "options",
        "log-odds by which the most preferred of A, B, … beats the least, whatever they name; needs its own margin",
        1,
        ASKED,
        quantities.identifier_effect,
        display=Display(
            "answers",
            "pull of A, B, …",
            even=0.0,
            worse="is pulled more by the letters of options",
            question="answer format",
        ),
        limits=(0.0, math.inf),
        default_margin=False,
    ),
    Measure(
        "position_effect",
        "options",
        "log-odds by which the most preferred position beats the least, whatever is there; needs its own margin",
        1,
        ASKED,
        quantities.position_effect,
        display=Display(worse="is pulled more by the position of options", question="answer format"),
        limits=(0.0, math.inf),
        default_margin=False,
    ),
    Measure(
        "yes_effect",
        "options",
        "log-odds of yes whatever is asked, the mean of a question and its negation; estimates only",
        0,
        ASKED,
        quantities.yes_effect,
        display=Display("answers", "pull of yes", even=0.0, question="answer format"),
        limits=UNLIMITED,
        default_margin=False,
    ),
    Measure(
        "flip_rate",
        "options",
        "chance that two orders of the same options are answered with different contents",
        1,
        ASKED,
        quantities.flips,
        display=_FORMAT,
    ),
    Measure(
        "negation_consistency",
        "options",
        "share of yes/no answers that agree with the answer to the negated question",
        -1,
        ASKED,
        quantities.negation_consistency,
        display=_FORMAT,
    ),
    Measure(
        "option_mass",
        "options",
        "probability of all options together; where it is small the model would say something else",
        -1,
        ASKED,
        quantities.mass_of_options,
        display=_FORMAT,
    ),
)
"""The measures of answers to prompts by name, in the order of the rows of `options`."""
