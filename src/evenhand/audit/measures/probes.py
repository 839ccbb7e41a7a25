"""What an audit says of probes of representations."""

from __future__ import annotations

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import ASKED, Measure, by_name, taken_of

_EFFECT = taken_of("probes")

PROBES = by_name(
    Measure(
        "probe_accuracy",
        "probes",
        "share of held-out examples whose target a linear probe tells from a layer's states; estimates only",
        0,
        ASKED,
        _EFFECT,
        proportion=True,
        display=Display("probes", fitted=True),
    ),
    Measure(
        "control_accuracy",
        "probes",
        "the same of targets drawn at random per type: what a probe learns by heart or guesses; estimates only",
        0,
        ASKED,
        _EFFECT,
        title="probe accuracy on control tasks",
        display=Display("probes", "on control tasks", fitted=True),
    ),
    Measure(
        "selectivity",
        "probes",
        "probe accuracy minus control accuracy: what the states say; whether more is worse is declared by target",
        1,
        ASKED,
        _EFFECT,
        title="selectivity (probe − control accuracy)",
        limits=(-1.0, 1.0),
        display=Display("probes", "selectivity"),
    ),
)
"""What an audit says of probes of representations, the rows of `probes`; `audit.encoded` works them out."""
