"""Membership inference: closed forms, attacks one by one, null pools, and what is refused.

The scores of a public LiRA are of tensorflow/privacy, research/mi_lira_2021/plot.py at commit 3d499e69: made once by
its formulas, apart from our code, on a pool of a few numbers.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit, ndtri
from scipy.stats import norm

from evenhand.errors import InputError
from evenhand.metrics import (
    attack_accuracy,
    attack_pool,
    attack_targets,
    attack_without_each_pair,
    confidence,
    dp_bound,
    likelihood_score,
    loss_score,
    membership_auc,
    min_k_plus_plus_score,
    min_k_score,
    reference_score,
    roc_curve,
    text_confidence,
    tpr_at_fpr,
    tpr_at_fpr_by_group,
    zlib_score,
)
from evenhand.metrics.membership.lira import variances
from evenhand.metrics.membership.rmia import log_ratio
from evenhand.metrics.membership.shadows import pool_shadows, separate_shadows

LIRA = [("lira", mode, variance) for mode in ("online", "offline") for variance in ("pooled", "shrunk", "per-example")]
OTHERS = [("loss", "online", "pooled"), ("difficulty", "online", "pooled")]
RMIA = [("rmia", "online", "pooled"), ("rmia", "offline", "pooled")]


def pool(models: int, n: int, leak: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """φ, membership and pairs: hard and easy examples, of which each model saw a half, shuffled pairs."""
    rng = np.random.default_rng(seed)
    half = rng.random((models // 2, n)).argsort(axis=1) < n // 2
    order = rng.permutation(models)
    member = np.concatenate([half, ~half])[order]
    place = np.argsort(order)
    pairs = place[(order + models // 2) % models]
    spread = np.exp(0.4 * rng.normal(size=n))
    phi = 2 * rng.normal(size=n) + spread * rng.normal(size=(models, n)) + leak * member
    return phi, member, pairs


# Confidence and single scores


def test_the_confidence_of_a_sure_model_does_not_saturate():
    assert confidence([[60.0, 0.0, 0.0]], [0])[0] == pytest.approx(60 - math.log(2))
    assert confidence([[0.0, 800.0, 0.0]], [1])[0] == pytest.approx(800 - math.log(2))


def test_the_known_confidence_and_cross_entropy():
    phi = confidence([[2.0, -1.0, 0.5]], [0])
    assert phi == pytest.approx([1.2985867], abs=1e-7)
    assert loss_score(phi) == pytest.approx([-0.2413113], abs=1e-7)


def test_the_confidence_of_two_classes_is_the_difference_of_logits():
    logits = np.random.default_rng(0).normal(size=(3, 5, 2))
    assert confidence(logits, [0] * 5) == pytest.approx(logits[..., 0] - logits[..., 1])


def test_float32_logits_give_float64_confidences():
    logits = np.array([[20.0, 0.0, -3.0]], dtype=np.float32)
    assert confidence(logits, [0])[0] == pytest.approx(20 - math.log1p(math.exp(-3)), abs=1e-12)


def test_a_class_that_cannot_be_adds_nothing():
    assert confidence([[2.0, 1.0, -np.inf]], [0])[0] == pytest.approx(1.0)


def test_a_probability_of_exactly_one_has_an_infinite_confidence():
    assert confidence([[0.0, -np.inf]], [0])[0] == np.inf
    assert loss_score(np.inf) == 0


def test_logs_of_probabilities_serve_as_logits():
    probability = np.random.default_rng(0).dirichlet(np.ones(4), 6)
    label = np.arange(6) % 4
    p = probability[np.arange(6), label]
    assert confidence(np.log(probability), label) == pytest.approx(np.log(p / (1 - p)))
    assert loss_score(confidence(np.log(probability), label)) == pytest.approx(np.log(p))


def test_the_reference_is_taken_off_each_model():
    assert reference_score([[1.0, 2.0], [3.0, 4.0]], [0.5, 1.0]) == pytest.approx(np.array([[0.5, 1], [2.5, 3]]))


@pytest.mark.parametrize(
    ("logits", "labels", "says"),
    [
        ([[1.0], [2.0]], [0, 0], "two classes or more"),
        ([[1.0, 2.0]], [0, 1], "a column of logits per row"),
        ([[1.0, 2.0]], [2], "columns 0 to 1"),
        ([[1.0, np.nan]], [0], "not a number"),
        ([[-np.inf, -np.inf]], [0], "some class must be possible"),
        ([["a", "b"]], [0], "not an array of numbers"),
    ],
)
def test_logits_that_cannot_be_used_are_refused(logits, labels, says):
    with pytest.raises(InputError, match=says):
        confidence(logits, labels)


# Attacks: known values, and one by one


def test_the_known_scores_of_one_example():
    shadows = np.array([[2.0], [3.0], [4.0], [0.0], [1.0], [-1.0], [0.5]])
    member = np.array([[True]] * 3 + [[False]] * 4)
    assert attack_targets([[2.5]], shadows, member, "difficulty") == pytest.approx(2.375)
    found = attack_targets([[2.5]], shadows, member, "lira", "offline", "per-example")
    assert norm.isf(np.exp(-found)) == pytest.approx(2.781315, abs=1e-6)


def test_the_known_ratio_of_rmia():
    phi = np.log(np.array([[0.5], [0.6]]) / np.array([[0.5], [0.4]]))
    found = np.exp(log_ratio(np.array([[math.log(9)]]), separate_shadows(1, phi, None), online=False, a=0.3))
    assert 0.9 / found == pytest.approx(0.7075)
    assert found == pytest.approx(1.272085, abs=1e-6)


def test_the_ratio_tells_confident_models_apart():
    """Where P rounds to 1, 1 − P does not: e^−50 against e^−45 of the others."""
    shadows = separate_shadows(1, np.full((3, 2), 45.0), None)
    found = log_ratio(np.array([[50.0, 44.0]]), shadows, online=False, a=1)
    assert found[0] == pytest.approx(np.exp(-45.0) - np.exp([-50.0, -44.0]), rel=1e-9)


def test_unlikely_labels_have_finite_ratios():
    found = attack_pool(np.linspace(-2e3, 2e3, 24).reshape(4, 6), *_small_pool(6), "rmia")
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1


def _small_pool(n: int) -> tuple[np.ndarray, np.ndarray]:
    half = np.arange(n) % 2 == 0
    return np.array([half, half, ~half, ~half]), np.array([2, 3, 0, 1])


def by_hand(phi, member, pairs, attack, mode, variance) -> np.ndarray:
    """The scores, target by target and example by example."""
    models, n = phi.shape
    found = np.empty(phi.shape)
    for t in range(models):
        rest = np.setdiff1d(np.arange(models), [t, pairs[t]])
        sides = [[phi[rest[member[rest, i] == side], i] for i in range(n)] for side in (True, False)]
        if attack == "difficulty":
            found[t] = [phi[t, i] - sides[1][i].mean() for i in range(n)]
        elif attack == "rmia":
            p = [np.array([expit(values).mean() for values in side]) for side in sides]
            mean = (p[0] + p[1]) / 2 if mode == "online" else (1.3 * p[1] + 0.7) / 2
            ratio = expit(phi[t]) / mean
            found[t] = [(ratio[i] / ratio > 1.0).mean() for i in range(n)]
        else:
            moments = []
            for side in sides:
                own = np.array([values.var(ddof=1) for values in side])
                used = own if variance == "per-example" else np.full(n, own.mean())
                moments.append((np.array([values.mean() for values in side]), np.sqrt(used)))
            density = [norm.logpdf(phi[t], *one) for one in moments]
            found[t] = density[0] - density[1] if mode == "online" else -norm.logsf(phi[t], *moments[1])
    return found


@pytest.mark.parametrize("attack", [*OTHERS[1:], *RMIA, *(one for one in LIRA if one[2] != "shrunk")])
def test_a_pool_is_attacked_as_each_model_alone(attack):
    phi, member, pairs = pool(8, 40, 1.0)
    assert attack_pool(phi, member, pairs, *attack) == pytest.approx(by_hand(phi, member, pairs, *attack))


@pytest.mark.parametrize("attack", [*OTHERS, *RMIA, *LIRA])
def test_a_pool_is_attacked_as_targets_with_shadows_of_their_own(attack):
    phi, member, pairs = pool(10, 60, 1.0)
    found = attack_pool(phi, member, pairs, *attack)
    for target in (0, 7):
        rest = np.setdiff1d(np.arange(10), [target, pairs[target]])
        alone = attack_targets(phi[[target]], phi[rest], member[rest], *attack)
        assert found[target] == pytest.approx(alone[0], rel=1e-9, abs=1e-12)


def test_the_order_of_models_and_examples_does_not_matter():
    phi, member, pairs = pool(8, 50, 1.0)
    models, examples = np.random.default_rng(1).permutation(8), np.random.default_rng(2).permutation(50)
    twins = np.argsort(models)[pairs[models]]
    for attack in (*OTHERS, *RMIA, *LIRA):
        found = attack_pool(phi, member, pairs, *attack)[models][:, examples]
        other = attack_pool(phi[models][:, examples], member[models][:, examples], twins, *attack)
        assert other == pytest.approx(found)


def test_the_reference_attack_takes_the_base_model_off():
    phi, member, pairs = pool(4, 10, 1.0)
    assert attack_pool(phi, member, pairs, "reference", reference=phi[0]) == pytest.approx(phi - phi[0])
    assert attack_pool(phi, member, pairs, "loss") == pytest.approx(loss_score(phi))


def test_gamma_cuts_the_lower_end_and_keeps_the_order():
    phi, member, pairs = pool(8, 200, 1.0)
    one, two = (attack_pool(phi, member, pairs, "rmia", gamma=gamma) for gamma in (1.0, 2.0))
    assert (two <= one).all() and (two == 0).mean() > (one == 0).mean()
    order = np.argsort(one[0])
    assert (np.diff(two[0][order]) >= 0).all()


def test_leaving_a_pair_out_is_attacking_the_smaller_pool():
    phi, member, pairs = pool(10, 30, 1.0)
    seen = []
    for attack in (OTHERS[1], RMIA[0], LIRA[0]):
        for kept, found in attack_without_each_pair(phi, member, pairs, *attack):
            twins = np.searchsorted(kept, pairs[kept])
            assert found == pytest.approx(attack_pool(phi[kept], member[kept], twins, *attack))
            seen.append(tuple(np.setdiff1d(np.arange(10), kept).tolist()))
    assert seen[:5] == [(model, int(pairs[model])) for model in range(10) if model < pairs[model]]


def test_a_pool_of_eight_can_leave_a_pair_out_of_lira():
    assert len(list(attack_without_each_pair(*pool(8, 30, 1.0), *LIRA[0]))) == 4


@pytest.mark.parametrize("attack", [*OTHERS, *RMIA, *LIRA])
def test_shadows_of_the_same_method_are_the_pools_own(attack):
    phi, member, pairs = pool(8, 40, 1.0)
    found = attack_pool(phi, member, pairs, *attack, shadow_phi=phi)
    assert (found == attack_pool(phi, member, pairs, *attack)).all()
    left, own = (attack_without_each_pair(phi, member, pairs, *attack, shadow_phi=one) for one in (phi, None))
    for (_, first), (_, second) in zip(left, own, strict=True):
        assert (first == second).all()


@pytest.mark.parametrize("attack", [OTHERS[1], *RMIA, *LIRA])
def test_shadows_of_another_method_leave_out_those_trained_like_the_target_and_its_twin(attack):
    (phi, member, pairs), others = pool(10, 60, 1.0), pool(10, 60, 1.0, seed=5)[0] + 0.5
    found = attack_pool(phi, member, pairs, *attack, shadow_phi=others)
    for target in (0, 7):
        rest = np.setdiff1d(np.arange(10), [target, pairs[target]])
        alone = attack_targets(phi[[target]], others[rest], member[rest], *attack)
        assert found[target] == pytest.approx(alone[0], rel=1e-9, abs=1e-12)


# Variance


def test_pooled_variance_is_that_within_examples():
    phi, member, pairs = pool(16, 4000, 0.0)
    phi = 5 * phi[:1] + np.random.default_rng(1).normal(size=phi.shape)  # hard and easy examples
    found = variances(pool_shadows(phi, member, pairs).side(False), "pooled")
    assert found == pytest.approx(1.0, rel=0.02)


def test_shrinkage_lies_between_pooled_and_own_and_is_nearer_the_truth_than_both():
    rng = np.random.default_rng(0)
    truth = 4 / rng.chisquare(4, size=5000)
    phi = np.sqrt(truth) * rng.normal(size=(6, 5000))
    side = separate_shadows(1, phi, None).side(False)
    error = {name: np.abs(np.log(variances(side, name) / truth)).mean() for name in ("pooled", "shrunk", "per-example")}
    assert error["shrunk"] < 0.9 * min(error["pooled"], error["per-example"])


def test_shrinkage_finds_the_degrees_of_freedom_of_the_prior():
    """Posterior (d₀·s₀² + d·s²)/(d₀ + d): a straight line in s² of slope d/(d₀ + d), here 5/(5 + 8)."""
    rng = np.random.default_rng(0)
    phi = np.sqrt(8 / rng.chisquare(8, size=100_000)) * rng.normal(size=(6, 100_000))
    side = separate_shadows(1, phi, None).side(False)
    own, found = variances(side, "per-example")[0], variances(side, "shrunk")[0]
    slope = (found[1] - found[0]) / (own[1] - own[0])
    assert slope == pytest.approx(5 / 13, rel=0.05)


def test_equal_variances_are_pooled():
    phi = np.tile(np.array([[-1.0], [0.0], [1.0]]), 50)
    side = separate_shadows(1, phi, None).side(False)
    assert variances(side, "shrunk") == pytest.approx(1.0)


def test_an_example_on_which_all_models_agree_has_the_pooled_variance():
    phi, member, pairs = pool(16, 40, 0.0)
    phi[:, 3] = 7.0
    side = pool_shadows(phi, member, pairs).side(True)
    assert variances(side, "per-example")[:, 3] == pytest.approx(variances(side, "pooled")[:, 0])
    for attack in LIRA:
        assert np.isfinite(attack_pool(phi, member, pairs, *attack)).all()


@pytest.mark.parametrize(("models", "as_if"), [(16, "pooled"), (66, "per-example")])
def test_auto_takes_own_variances_from_32_models_per_side(models, as_if):
    phi, member, pairs = pool(models, 30, 1.0)
    for mode in ("online", "offline"):
        found, same = (attack_pool(phi, member, pairs, "lira", mode, variance) for variance in ("auto", as_if))
        assert (found == same).all()


# Pools without signal


NULL = [(models, attack) for models in (4, 8, 16) for attack in (*OTHERS, *RMIA, *LIRA)]
NULL = [(models, attack) for models, attack in NULL if models > 4 or attack[0] != "lira"]  # refused: below


@pytest.mark.parametrize(("models", "attack"), NULL)
def test_data_without_signal_give_half(models, attack):
    found = []
    for seed in range(6):
        phi, member, pairs = pool(models, 1500, 0.0, seed)
        found.append(membership_auc(attack_pool(phi, member, pairs, *attack), member))
    assert np.mean(found) == pytest.approx(0.5, abs=4 * 0.012 / math.sqrt(6))


@pytest.mark.parametrize(("models", "attack"), NULL)
def test_membership_flipped_within_twins_gives_half(models, attack):
    found = []
    for seed in range(6):
        phi, member, pairs = pool(models, 1500, 2.0, seed)
        first = np.flatnonzero(np.arange(models) < pairs)
        member = member.copy()
        member[first] ^= np.random.default_rng(seed + 100).random((len(first), 1500)) < 0.5
        member[pairs[first]] = ~member[first]
        found.append(membership_auc(attack_pool(phi, member, pairs, *attack), member))
    assert np.mean(found) == pytest.approx(0.5, abs=4 * 0.012 / math.sqrt(6))


@pytest.mark.parametrize("attack", [OTHERS[1], RMIA[0], LIRA[0]])
def test_shadows_of_another_method_tell_nothing_of_data_without_signal(attack):
    """Though each model is much like the other method's model of its seed."""
    found = []
    for seed in range(6):
        phi, member, pairs = pool(8, 1500, 0.0, seed)
        others = phi + 0.3 * np.random.default_rng(seed + 100).normal(size=phi.shape)
        found.append(membership_auc(attack_pool(phi, member, pairs, *attack, shadow_phi=others), member))
    assert np.mean(found) == pytest.approx(0.5, abs=4 * 0.012 / math.sqrt(6))


def test_a_twin_that_is_kept_tells_the_membership():
    """Without signal: the twin's noise is in the mean of the side that lacks the target, every time."""
    kept, dropped = [], []
    for seed in range(3):
        phi, member, pairs = pool(8, 3000, 0.0, seed)
        rest = [np.delete(np.arange(8), target) for target in range(8)]
        attack = "lira", "online", "per-example"
        score = [attack_targets(phi[[t]], phi[rest[t]], member[rest[t]], *attack)[0] for t in range(8)]
        kept.append(membership_auc(score, member))
        dropped.append(membership_auc(attack_pool(phi, member, pairs, *attack), member))
    assert np.mean(kept) < 0.45
    assert np.mean(dropped) == pytest.approx(0.5, abs=0.015)


@pytest.mark.parametrize("attack", [*OTHERS, *RMIA, *LIRA])
def test_a_leak_is_found(attack):
    phi, member, pairs = pool(16, 2000, 1.5)
    assert membership_auc(attack_pool(phi, member, pairs, *attack), member) > 0.6


# Closed forms of two normals


def test_the_area_and_the_low_end_of_two_normals():
    grid = ndtri((np.arange(200_000) + 0.5) / 200_000)
    score, member = np.concatenate([grid, grid + 1]), np.arange(400_000) >= 200_000
    assert membership_auc(score, member) == pytest.approx(0.76025, abs=1e-4)
    assert tpr_at_fpr(score, member, 0.01).true_positive_rate == pytest.approx(0.09236, abs=1e-4)
    assert tpr_at_fpr(score, member, 0.001).true_positive_rate == pytest.approx(0.01830, abs=1e-4)


def test_offline_attacks_with_eight_models_and_one_variance():
    rng, n = np.random.default_rng(0), 400_000
    member = rng.random((1, n)) < 0.5
    shadows = rng.normal(size=(8, n))
    score = attack_targets(rng.normal(size=(1, n)) + member, shadows)
    assert membership_auc(score, member) == pytest.approx(0.74751, abs=0.003)
    assert tpr_at_fpr(score, member, 0.01).true_positive_rate == pytest.approx(0.08325, abs=0.003)


def test_a_pool_of_eighteen_is_attacked_with_eight_models_per_side():
    phi, member, pairs = pool(18, 20_000, 0.0)
    phi = np.random.default_rng(1).normal(size=phi.shape) + member
    score = attack_pool(phi, member, pairs, "lira", "offline")
    assert membership_auc(score, member) == pytest.approx(0.74751, abs=0.003)


# The public LiRA

INSIDE = np.array([[1.0, 2.0, 3.0], [4.5, 5.0, 5.5], [-1.0, 0.5, 2.0], [0.2, 0.4, 0.6]]).T
OUTSIDE = np.array([[-1.0, 0.0, 1.0], [4.0, 4.5, 5.0], [-2.0, -0.5, 1.0], [0.1, 0.3, 0.5]]).T
TARGET = np.array([[2.5, 3.0, 0.0, 0.9]])
THEIR_ONLINE = -np.array([-4.5, 5.25, 0.0, -2.0625])
THEIR_ONLINE_FIXED = -np.array([-0.7422297819700012, 0.21648368640791738, 0.0, -0.013607546002783355])
THEIR_OFFLINE = -np.array([-5.40370597915059, -6.773058798590645, -1.205004420592088, -5.85676806671649])
"""What `generate_ours` and `generate_ours_offline` give; theirs are losses, so the sign is turned."""


def theirs_and_ours(mode: str, variance: str) -> np.ndarray:
    member = np.repeat([True, False], 3)[:, None] & np.ones(4, dtype=bool)
    return attack_targets(TARGET, np.concatenate([INSIDE, OUTSIDE]), member, "lira", mode, variance)[0]


def test_online_scores_are_those_of_the_public_lira_but_for_the_divisor_of_the_variance():
    """Theirs takes the median, which is the mean here, and divides by K where K − 1 is unbiased: 3 against 2."""
    assert theirs_and_ours("online", "per-example") == pytest.approx(THEIR_ONLINE * 2 / 3)


def test_their_fixed_variance_is_the_spread_of_the_examples():
    """Theirs is np.std of the whole IN matrix, for OUT too: 2.01, where models differ by .81 on one example."""
    residual = (1.0 + 0.25 + 2.25 + 0.04) / 4
    found = theirs_and_ours("online", "pooled")
    assert found == pytest.approx(THEIR_ONLINE_FIXED * INSIDE.std() ** 2 / residual)
    assert math.sqrt(residual) < 0.5 * INSIDE.std()


def test_their_offline_score_has_two_sides():
    """A target that is far *less* confident than OUT models (example 1) is their surest member, and our last."""
    found = theirs_and_ours("offline", "per-example")
    assert np.argmax(THEIR_OFFLINE) == 1
    assert np.argmin(found) == 1
    z = (TARGET[0] - OUTSIDE.mean(axis=0)) / OUTSIDE.std(axis=0, ddof=1)
    assert found == pytest.approx(-norm.logsf(z))


def test_the_one_sided_score_does_not_saturate():
    shadows = np.random.default_rng(0).normal(size=(20, 3))
    found = attack_targets([[9.0, 12.0, 30.0]], shadows)[0]
    assert np.isfinite(found).all() and (np.diff(found) > 0).all()
    assert 1 - norm.cdf(9.0) == 0  # what cdf would make of it


# What is refused


def test_lira_is_refused_with_one_or_two_models_per_side():
    for models in (4, 6):
        with pytest.raises(InputError, match=rf"needs 3 IN models .* has {models // 2 - 1}"):
            attack_pool(*pool(models, 20, 1.0))
        with pytest.raises(InputError, match=r"needs 3 OUT models"):
            attack_pool(*pool(models, 20, 1.0), mode="offline")


@pytest.mark.parametrize("attack", ["difficulty", "rmia"])
def test_a_pool_of_one_pair_has_nothing_to_compare_with(attack):
    with pytest.raises(InputError, match="a pool"):
        attack_pool(*pool(2, 20, 1.0), attack)


def test_offline_shadows_have_no_in_models():
    with pytest.raises(InputError, match="needs 3 IN models"):
        attack_targets(np.zeros((1, 5)), np.random.default_rng(0).normal(size=(9, 5)), mode="online")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"phi": np.zeros((5, 20)), "membership": np.zeros((5, 20), bool), "pairs": np.arange(5)}, "odd number"),
        ({"pairs": np.array([1, 0, 3, 2, 5, 4, 7, 7])}, "names it back"),
        ({"pairs": np.array([1, 0, 3, 2, 5, 4, 7, 9])}, "names it back"),
        ({"pairs": np.arange(8)}, "must be another model"),
        ({"pairs": np.arange(7)}, "twin's index"),
        ({"membership": np.zeros((8, 20), bool)}, "a member of neither"),
        ({"membership": np.ones((8, 20), bool)}, "a member of both"),
        ({"membership": np.full((8, 20), 0.5)}, "true where a model was trained"),
        ({"membership": np.zeros((8, 19), bool)}, "must be the same"),
        ({"phi": np.zeros(20)}, "one row per model"),
        ({"phi": np.full((8, 20), np.inf)}, "160 such"),
        ({"phi": np.zeros((8, 20))}, "models that differ"),
        ({"attack": "lyra"}, 'did you mean "lira"'),
        ({"mode": "on"}, '"online" or "offline"'),
        ({"variance": "fixed"}, "no variance"),
        ({"attack": "reference"}, "needs reference"),
        ({"attack": "reference", "reference": np.zeros(3)}, "one value per example"),
        ({"attack": "rmia", "gamma": 0.0}, "gamma is 0"),
        ({"attack": "rmia", "a": 1.5}, "a is 1.5"),
        ({"shadow_phi": np.zeros((6, 20))}, "a shadow for each model of the pool is needed"),
        ({"shadow_phi": np.full((8, 20), np.nan)}, "shadow_phi is nan"),
    ],
)
def test_pools_that_cannot_be_attacked_are_refused(change, says):
    phi, member, pairs = pool(8, 20, 1.0)
    with pytest.raises(InputError, match=says):
        attack_pool(**({"phi": phi, "membership": member, "pairs": pairs} | change))


def test_targets_and_shadows_need_the_same_examples():
    with pytest.raises(InputError, match="must be the same"):
        attack_targets(np.zeros((1, 4)), np.zeros((5, 3)))


def test_leaving_a_pair_out_needs_six_models():
    with pytest.raises(InputError, match="needs 6"):
        next(attack_without_each_pair(*pool(4, 20, 1.0), "difficulty"))


# Texts

TEXTS = [[-1.0, -2.0, -3.0, -4.0, -5.0], [-0.5], [], [-3.0, -1.0]]


def test_the_likelihood_of_a_text_is_that_of_its_mean_token():
    assert likelihood_score(TEXTS) == pytest.approx([-3, -0.5, np.nan, -2], nan_ok=True)


def test_zlib_scores_are_per_compressed_byte():
    assert zlib_score(TEXTS, [10, 5, 8, 4]) == pytest.approx([-0.3, -0.1, np.nan, -0.5], nan_ok=True)


def test_the_confidence_in_a_text_is_the_log_odds_of_its_geometric_mean():
    score = np.log([0.5, 0.75, 0.1])
    assert text_confidence(score) == pytest.approx(np.log([1, 3, 1 / 9]))
    assert loss_score(text_confidence([-1e-12, -3.0, -40.0])) == pytest.approx([-1e-12, -3.0, -40.0], rel=1e-3)
    assert text_confidence([0.0]).tolist() == [np.inf]
    with pytest.raises(InputError, match="at most 0"):
        text_confidence([0.1])


def test_min_k_takes_at_least_one_token():
    """⌊.2·tokens⌋ of a text of fewer than five tokens is none; of two tokens one is taken here."""
    assert min_k_score(TEXTS) == pytest.approx([-5, -0.5, np.nan, -3], nan_ok=True)
    assert min_k_score(TEXTS, k=0.5) == pytest.approx([-4, -0.5, np.nan, -3], nan_ok=True)
    assert min_k_score(TEXTS, k=1) == pytest.approx(likelihood_score(TEXTS), nan_ok=True)


def test_a_share_that_is_a_whole_number_of_tokens_is_not_rounded_up():
    values = -np.arange(1.0, 31)
    assert min_k_score([values], k=0.1) == pytest.approx([-29.0])  # .1·30 is 3.0000000000000004


def test_min_k_plus_plus_is_min_k_of_standardised_tokens():
    rng = np.random.default_rng(0)
    logits, tokens = rng.normal(size=(12, 30)), rng.integers(0, 30, 12)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    mean = (np.exp(log_p) * log_p).sum(axis=1)
    spread = np.sqrt((np.exp(log_p) * log_p**2).sum(axis=1) - mean**2)
    own = log_p[np.arange(12), tokens]
    least = np.sort((own - mean) / spread)[:3]
    assert min_k_plus_plus_score([own], [mean], [spread], k=0.25) == pytest.approx([least.mean()])


def test_a_position_without_doubt_has_the_z_score_0():
    assert min_k_plus_plus_score([[0.0, -1.0]], [[0.0, -2.0]], [[0.0, 0.5]], k=1) == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: likelihood_score([[0.5]]), "values up to 0"),
        (lambda: likelihood_score([[np.nan]]), "holds nan"),
        (lambda: likelihood_score([-1.0, -2.0]), "sequence of sequences"),
        (lambda: min_k_score(TEXTS, k=0), "k is 0"),
        (lambda: zlib_score(TEXTS, [1, 2]), "each of 4 texts"),
        (lambda: min_k_plus_plus_score([[-1.0]], [[-1.0, -1.0]], [[1.0]]), "one value for each token"),
        (lambda: min_k_plus_plus_score([[-1.0]], [[-1.0]], [[-1.0]]), "negative value"),
    ],
)
def test_texts_that_cannot_be_scored_are_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()


# ROC


def test_a_curve_by_hand():
    curve = roc_curve([3.0, 2.0, 2.0, 1.0], [True, False, True, False])
    assert curve.false_positive_rate.tolist() == [0, 0, 0.5, 1]
    assert curve.true_positive_rate.tolist() == [0, 0.5, 1, 1]
    assert curve.threshold.tolist() == [np.inf, 3, 2, 1]
    assert (curve.members, curve.non_members) == (2, 2)
    assert membership_auc([3.0, 2.0, 2.0, 1.0], [True, False, True, False]) == 0.875


def test_rows_are_chosen_by_example_or_one_by_one():
    rng = np.random.default_rng(0)
    score, member, mask = rng.normal(size=(4, 50)), rng.random((4, 50)) < 0.5, rng.random(50) < 0.5
    whole = np.broadcast_to(mask, (4, 50))
    assert membership_auc(score, member, where=mask) == membership_auc(score[:, mask], member[:, mask])
    assert membership_auc(score, member, where=whole) == membership_auc(score, member, where=mask)


def test_the_rate_is_refused_below_three_over_alpha_distinct_non_members():
    """A non-member of three targets is one: 299 of them give no TPR at 1%, however many rows there are."""
    rng = np.random.default_rng(0)
    for distinct, told in ((299, False), (300, True)):
        score, member = rng.normal(size=(3, distinct)), np.zeros((3, distinct), bool)
        score, member = np.hstack([score, score + 1]), np.hstack([member, ~member])
        found = tpr_at_fpr(score, member)
        assert (found.distinct, math.isnan(found.true_positive_rate)) == (distinct, not told)
        assert found.members == found.non_members == 3 * distinct
        assert found.false_positives / found.non_members == found.false_positive_rate <= 0.01
    assert found.reason is None and not found.precise
    few = tpr_at_fpr(score, member, 0.001)
    assert few.reason == "300 distinct non-members: TPR at an FPR of 0.001 needs 3000"
    assert len(roc_curve(score, member).threshold) > 1


def test_rows_of_one_example_are_told_by_name():
    score, member = np.arange(400.0), np.arange(400) % 2 == 0
    assert tpr_at_fpr(score, member, 0.1, example=np.arange(400) // 8).distinct == 50
    assert tpr_at_fpr(score, member, 0.1).distinct == 200


def test_a_group_without_members_or_non_members_has_no_rate():
    score = np.arange(10.0)
    assert tpr_at_fpr(score, np.zeros(10, bool)).reason == "no members"
    assert tpr_at_fpr(score, np.ones(10, bool)).reason == "no non-members"
    assert math.isnan(membership_auc(score, np.ones(10, bool)))
    with pytest.raises(InputError, match="all are members"):
        roc_curve(score, np.ones(10, bool))
    with pytest.raises(InputError, match="none is a member"):
        roc_curve(score, np.zeros(10, bool))


def test_thresholds_of_the_group_and_of_everybody():
    """Scores of group b are higher by 3 for everybody: it leaks no more than a, but an attacker finds b first."""
    rng = np.random.default_rng(0)
    group = np.repeat(["a", "b"], 1000)
    member = rng.random((8, 2000)) < 0.5
    score = rng.normal(size=(8, 2000)) + member + 3 * (group == "b")
    own = tpr_at_fpr_by_group(score, member, groups=group)
    pooled = tpr_at_fpr_by_group(score, member, groups=group, thresholds="pooled")
    assert own["a"].true_positive_rate == pytest.approx(own["b"].true_positive_rate, abs=0.03)
    assert pooled["b"].threshold == pooled["a"].threshold == tpr_at_fpr(score, member).threshold
    assert pooled["b"].true_positive_rate > 0.1 and pooled["a"].true_positive_rate < 0.01
    assert pooled["b"].false_positive_rate > 0.015 and pooled["a"].false_positive_rate < 0.001


def test_a_threshold_is_chosen_on_other_models():
    """One's own best threshold finds more than .5 in noise; that of others does not."""
    rng = np.random.default_rng(0)
    own, others = [], []
    for _ in range(60):
        score, member = rng.normal(size=(8, 60)), rng.random((8, 60)) < 0.5
        others.extend(attack_accuracy(score, member, pairs=np.arange(8) ^ 1))
        own.extend((1 + _youden(*one)) / 2 for one in zip(score, member, strict=True))
    assert np.mean(others) == pytest.approx(0.5, abs=0.01)
    assert np.mean(own) > 0.57


def _youden(score: np.ndarray, member: np.ndarray) -> float:
    curve = roc_curve(score, member)
    return float((curve.true_positive_rate - curve.false_positive_rate).max())


def test_the_accuracy_of_two_normals():
    rng = np.random.default_rng(0)
    member = rng.random((6, 4000)) < 0.3
    found = attack_accuracy(rng.normal(size=member.shape) + 2 * member, member)
    assert found == pytest.approx(norm.cdf(1.0), abs=0.02)


def test_one_target_has_no_other_model():
    assert np.isnan(attack_accuracy([[1.0, 2.0]], [[True, False]])).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: membership_auc([1.0, np.nan], [True, False]), "nan in 1 rows"),
        (lambda: membership_auc([1.0, 2.0], [True]), "must be the same"),
        (lambda: membership_auc([1.0, 2.0], [True, False], where=[True]), "bool of the shape"),
        (lambda: tpr_at_fpr([1.0, 2.0], [True, False], 1.0), "alpha is 1"),
        (lambda: tpr_at_fpr([1.0, 2.0], [True, False], example=[1]), "example has shape"),
        (lambda: tpr_at_fpr_by_group([1.0, 2.0], [True, False], groups=["a", "b"], thresholds="own"), "thresholds is"),
        (lambda: tpr_at_fpr_by_group([1.0, 2.0], [True, False], groups=["a"]), "examples"),
        (lambda: attack_accuracy([1.0, 2.0], [True, False]), "a row per target"),
        (lambda: attack_accuracy([[1.0, 2.0]], [[True, False]], pairs=[0, 1]), "a twin of each"),
        (lambda: dp_bound(0.1, -1.0), "epsilon is -1"),
    ],
)
def test_scores_that_cannot_be_used_are_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()


# Differential privacy


def test_without_privacy_loss_nothing_can_be_told():
    fpr = np.linspace(0, 1, 11)
    assert dp_bound(fpr, 0.0) == pytest.approx(fpr)
    assert dp_bound(fpr, 0.0, 0.1) == pytest.approx(np.minimum(fpr + 0.1, 1))


def test_randomised_response_reaches_the_bound():
    """A bit that is kept with probability e^ε/(1 + e^ε): its one threshold lies on both lines."""
    epsilon = 1.3
    kept = math.exp(epsilon) / (1 + math.exp(epsilon))
    assert dp_bound(1 - kept, epsilon) == pytest.approx(kept)
    assert dp_bound(0.001, epsilon) == pytest.approx(math.exp(epsilon) * 0.001)
    assert dp_bound(0.9, epsilon) == pytest.approx(1 - math.exp(-epsilon) * 0.1)
