"""What an audit says of translations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import EVERYWHERE, Measure, by_name
from evenhand.audit.measures.translation_influence import (
    bleu_effect,
    gender_effect,
    lean_effect,
    outcome_effect,
    rouge_effect,
)
from evenhand.metrics.translation import StereotypeOutcome

_OUTCOMES: Mapping[StereotypeOutcome, tuple[str, str]] = {
    "anti": ("with the other gender", "the other gender"),
    "neutral": ("with they, them or their", "they"),
    "mixed": ("with pronouns of both genders", "both genders"),
    "none": ("without any such pronoun", "no pronoun"),
}

TRANSLATIONS = by_name(
    Measure(
        "pro_share",
        "translations",
        "share of translations that give somebody the gender stereotypical of their occupation",
        1,
        EVERYWHERE,
        partial(outcome_effect, outcome="pro"),
        proportion=True,
        display=Display("shares", "stereotypical gender", fitted=True),
    ),
    *(
        Measure(
            f"{outcome}_share",
            "translations",
            f"share of translations {said}; estimates only",
            0,
            EVERYWHERE,
            partial(outcome_effect, outcome=outcome),
            proportion=True,
            display=Display("shares", heading, fitted=True),
        )
        for outcome, (said, heading) in _OUTCOMES.items()
    ),
    Measure(
        "stereotype_lean",
        "translations",
        "pro_share minus anti_share, from −1 to 1: 0 where neither gender is preferred; needs a margin of its own",
        1,
        EVERYWHERE,
        lean_effect,
        title="stereotype lean (pro − anti)",
        default_margin=False,
        limits=(-1.0, 1.0),
        display=Display(fitted=True),
    ),
    Measure(
        "male_share",
        "translations",
        "share of translations with he, him or his, of all; estimates only",
        0,
        EVERYWHERE,
        partial(gender_effect, gender="male"),
        proportion=True,
        display=Display(fitted=True),
    ),
    Measure(
        "bleu",
        "translations",
        "corpus BLEU, 0–100, on generated text, the references under each pronoun; needs a margin of its own",
        -1,
        EVERYWHERE,
        bleu_effect,
        title="BLEU",
        default_margin=False,
        limits=(0.0, 100.0),
        display=Display(fitted=True),
    ),
    Measure(
        "rouge_l",
        "translations",
        "mean ROUGE-L, 0–1, on generated text, the references under each pronoun",
        -1,
        EVERYWHERE,
        rouge_effect,
        title="ROUGE-L",
        display=Display(fitted=True),
    ),
)
"""What an audit says of translations, the rows of `responses`."""
