"""What an audit says of membership scores."""

from __future__ import annotations

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import EVERYWHERE, RANGE, UNLIMITED, Measure, by_name, taken_of

_EFFECT = taken_of("membership scores")

MEMBERSHIP = by_name(
    Measure(
        "membership_auc",
        "membership",
        "chance that a score ranks a member above a non-member; .5: nothing leaks",
        1,
        EVERYWHERE,
        _EFFECT,
        title="membership AUC",
        display=Display("areas", summary=True),
    ),
    Measure(
        "membership_balanced_accuracy",
        "membership",
        "(TPR + 1 − FPR)/2 of telling members, at the threshold that is best for the other models",
        1,
        EVERYWHERE,
        _EFFECT,
    ),
    Measure(
        "membership_tpr_at_fpr_0.01",
        "membership",
        "share of the members found where 1% of the non-members are called members; needs a margin of its own",
        1,
        EVERYWHERE,
        _EFFECT,
        title="membership TPR at 1% FPR",
        limits=UNLIMITED,
        default_margin=False,
        proportion=True,
        display=Display("rates", summary=True),
    ),
    Measure(
        "membership_tpr_at_fpr_0.001",
        "membership",
        "the same where .1% of the non-members are called members",
        1,
        EVERYWHERE,
        _EFFECT,
        title="membership TPR at .1% FPR",
        digits=5,
        limits=UNLIMITED,
        default_margin=False,
        proportion=True,
        display=Display("rates"),
    ),
    *(
        Measure(
            name,
            "membership",
            summary,
            0,
            EVERYWHERE,
            _EFFECT,
            title=title,
            limits=UNLIMITED,
            default_margin=False,
            display=Display("losses", column, tabled=False, even=0.0 if column == "gap" else None),
        )
        for name, summary, title, column in (
            (
                "membership_train_loss",
                "mean cross-entropy on the examples that a model was trained on",
                "",
                "train loss",
            ),
            (
                "membership_test_loss",
                "the same on the examples of the pool that it was not trained on",
                "",
                "test loss",
            ),
            (
                "membership_generalization_gap",
                "test loss minus train loss: what the loss alone tells of members",
                "membership generalization gap in loss, test − train",
                "gap",
            ),
            (
                "membership_train_accuracy",
                "accuracy on the examples that a model was trained on",
                "",
                "train accuracy",
            ),
            (
                "membership_test_accuracy",
                "the same on the examples of the pool that it was not trained on",
                "",
                "test accuracy",
            ),
            (
                "membership_accuracy_gap",
                "train accuracy minus test accuracy",
                "membership generalization gap in accuracy, train − test",
                "gap",
            ),
        )
    ),
    Measure(
        "membership_size_correlation",
        "membership",
        "Spearman correlation of groups' AUC with their size, from 4 groups; estimates only",
        0,
        ("attribute",),
        _EFFECT,
        limits=UNLIMITED,
        default_margin=False,
        display=Display("correlations", "size", tabled=False),
    ),
    Measure(
        "membership_gap_correlation",
        "membership",
        "Spearman correlation of groups' AUC with their generalization gap in loss, from 4 groups; estimates only",
        0,
        ("attribute",),
        _EFFECT,
        limits=UNLIMITED,
        default_margin=False,
        display=Display("correlations", "gap between test and train loss", tabled=False),
    ),
    Measure(
        "membership_auc_difference",
        "membership",
        "AUC of the group that leaks most minus that of the one that leaks least",
        1,
        ("attribute",),
        _EFFECT,
        title="membership AUC, largest − smallest of groups",
        notes=RANGE,
    ),
    Measure(
        "membership_tpr_at_fpr_0.01_difference",
        "membership",
        "the same of TPR at 1% FPR, at thresholds of the groups themselves; estimates only",
        0,
        ("attribute",),
        _EFFECT,
        title="membership TPR at 1% FPR, largest − smallest of groups",
        limits=UNLIMITED,
        default_margin=False,
        notes=RANGE,
    ),
)
"""What an audit says of membership scores; `audit.privacy` works them out, all models of a method together."""
