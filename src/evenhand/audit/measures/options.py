"""What an audit says of answers to prompts."""

from __future__ import annotations

import math

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import ASKED, UNLIMITED, Measure, by_name, taken_of

_EFFECT = taken_of("options")
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

OPTIONS = by_name(
    Measure(
        "distance_from_equal",
        "options",
        "|share of one gender among guesses of either − ½|, 0–.5: how far a model is from guessing both equally",
        1,
        ASKED,
        _EFFECT,
        title="distance from guessing both equally",
        limits=(0.0, 0.5),
        notes=(("everyone", "a distance is biased upward near 0: the guess lean has its sign"),),
        display=Display(detectable="the distance from guessing both equally"),
    ),
    Measure(
        "guess_lean",
        "options",
        "the same with its sign, positive for the first, male; estimates only",
        0,
        ASKED,
        _EFFECT,
        title="lean of guesses (share − ½)",
        limits=(-0.5, 0.5),
        default_margin=False,
        display=_LEAN,
    ),
    Measure(
        "content_effect",
        "options",
        "log-odds by which one gender beats the other, however small a guess would hide it; needs its own margin",
        1,
        ASKED,
        _EFFECT,
        limits=(0.0, math.inf),
        default_margin=False,
        notes=(("everyone", "a distance is biased upward near 0: the content log-odds have their sign"),),
    ),
    Measure(
        "content_log_odds",
        "options",
        "the same with its sign, positive for the first, male; estimates only",
        0,
        ASKED,
        _EFFECT,
        title="log-odds of one gender against the other",
        limits=UNLIMITED,
        default_margin=False,
        display=Display("answers", "how strongly", even=0.0, signed=True, judged_by="content_effect"),
    ),
    Measure(
        "guess_accuracy",
        "options",
        "share of guesses of a gender that are the author's, where examples have it as a group; estimates only",
        0,
        ASKED,
        _EFFECT,
    ),
    Measure(
        "identifier_effect",
        "options",
        "log-odds by which the most preferred of A, B, … beats the least, whatever they name; needs its own margin",
        1,
        ASKED,
        _EFFECT,
        limits=(0.0, math.inf),
        default_margin=False,
        display=Display("answers", "pull of A, B, …", even=0.0),
    ),
    Measure(
        "position_effect",
        "options",
        "log-odds by which the most preferred position beats the least, whatever is there; needs its own margin",
        1,
        ASKED,
        _EFFECT,
        limits=(0.0, math.inf),
        default_margin=False,
    ),
    Measure(
        "yes_effect",
        "options",
        "log-odds of yes whatever is asked, the mean of a question and its negation; estimates only",
        0,
        ASKED,
        _EFFECT,
        limits=UNLIMITED,
        default_margin=False,
        display=Display("answers", "pull of yes", even=0.0),
    ),
    Measure(
        "flip_rate",
        "options",
        "chance that two orders of the same options are answered with different contents",
        1,
        ASKED,
        _EFFECT,
    ),
    Measure(
        "negation_consistency",
        "options",
        "share of yes/no answers that agree with the answer to the negated question",
        -1,
        ASKED,
        _EFFECT,
    ),
    Measure(
        "option_mass",
        "options",
        "probability of all options together; where it is small the model would say something else",
        -1,
        ASKED,
        _EFFECT,
    ),
)
"""What an audit says of answers to prompts, the rows of `options`; `audit.asked` works them out."""
