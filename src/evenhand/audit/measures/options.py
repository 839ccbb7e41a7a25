"""What an audit says of answers to prompts."""

from __future__ import annotations

import math

from evenhand.audit.measures.measure import ASKED, Measure, by_name, taken_of

_EFFECT = taken_of("options")

OPTIONS = by_name(
    Measure(
        "distance_from_equal",
        "|share of one gender among guesses of either − ½|, 0–.5: how far a model is from guessing both equally",
        1,
        ASKED,
        _EFFECT,
        range=(0.0, 0.5),
        notes=(("everyone", "a distance is biased upward near 0: the guess lean has its sign"),),
    ),
    Measure(
        "guess_lean",
        "the same with its sign, positive for the first, male; estimates only",
        0,
        ASKED,
        _EFFECT,
        range=(-0.5, 0.5),
        scale="own",
    ),
    Measure(
        "content_effect",
        "log-odds by which one gender beats the other, however small a guess would hide it; needs its own margin",
        1,
        ASKED,
        _EFFECT,
        range=(0.0, math.inf),
        scale="own",
        notes=(("everyone", "a distance is biased upward near 0: the content log-odds have their sign"),),
    ),
    Measure(
        "content_log_odds",
        "the same with its sign, positive for the first, male; estimates only",
        0,
        ASKED,
        _EFFECT,
        scale="own",
    ),
    Measure(
        "guess_accuracy",
        "share of guesses of a gender that are the author's, where examples have it as a group; estimates only",
        0,
        ASKED,
        _EFFECT,
    ),
    Measure(
        "identifier_effect",
        "log-odds by which the most preferred of A, B, … beats the least, whatever they name; needs its own margin",
        1,
        ASKED,
        _EFFECT,
        range=(0.0, math.inf),
        scale="own",
    ),
    Measure(
        "position_effect",
        "log-odds by which the most preferred position beats the least, whatever is there; needs its own margin",
        1,
        ASKED,
        _EFFECT,
        range=(0.0, math.inf),
        scale="own",
    ),
    Measure(
        "yes_effect",
        "log-odds of yes whatever is asked, the mean of a question and its negation; estimates only",
        0,
        ASKED,
        _EFFECT,
        scale="own",
    ),
    Measure(
        "flip_rate",
        "chance that two orders of the same options are answered with different contents",
        1,
        ASKED,
        _EFFECT,
    ),
    Measure(
        "negation_consistency",
        "share of yes/no answers that agree with the answer to the negated question",
        -1,
        ASKED,
        _EFFECT,
    ),
    Measure(
        "option_mass",
        "probability of all options together; where it is small the model would say something else",
        -1,
        ASKED,
        _EFFECT,
    ),
)
"""What an audit says of answers to prompts, the rows of `options`; `audit.asked` works them out."""
