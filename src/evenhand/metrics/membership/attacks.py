"""Attack scores for membership inference from models' confidences; a higher score means more member-like.

In this table of attacks, "models" are the models with which the target is compared:

| attack | score | models |
|---|---|---|
| `loss` | −cross-entropy | none |
| `reference` | φ − φ of the base model | none |
| `difficulty` | φ − mean φ of OUT models | 1 OUT |
| `rmia` | see `rmia.py` | 1 OUT; online 1 IN too |
| `lira` | see `lira.py` | 3 OUT; online 3 IN too |

`docs/membership.md` says when to use which.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np

from evenhand.errors import InputError, did_you_mean
from evenhand.metrics.labels import numbers_of
from evenhand.metrics.membership.lira import LEAST_MODELS, Variance, lira_offline, lira_online
from evenhand.metrics.membership.rmia import rmia
from evenhand.metrics.membership.shadows import Shadows, phi_of, pool_shadows, separate_shadows

Attack = Literal["loss", "reference", "difficulty", "lira", "rmia"]
Mode = Literal["online", "offline"]


def confidence(logits: Any, labels: Any) -> np.ndarray:
    """φ = z_y − log Σ_{j≠y} exp z_j, the log-odds of the label: log(p/(1 − p)) without the rounding of p.

    Args:
        logits: float [..., n, C]; −inf marks an impossible class. Logarithms of probabilities can be used, too.
        labels: int [n], columns of the logits.

    Returns:
        float64 [..., n]. Infinite if the label has a probability of exactly 1 or 0.

    Raises:
        InputError: logits that are nan or +inf or have fewer than two classes, or labels without a column.

    Source: Carlini et al. (2022), whose log(p) − log(1 − p + 1e−45) saturates near 37 in float64 and 17 in float32.

    Example:
        >>> from evenhand.metrics import confidence
        >>> confidence([[2.0, 0.0], [0.0, 1.0]], [0, 0]).tolist()
        [2.0, -1.0]
    """
    z = numbers_of(logits, "logits")
    label = np.asarray(labels)
    if z.ndim < 2 or z.shape[-1] < 2 or z.size == 0:
        raise InputError(f"logits have shape {z.shape}; one row per example with two classes or more is needed")
    if label.shape != z.shape[-2:-1] or label.dtype.kind not in "iu":
        raise InputError(
            f"labels have shape {label.shape} and type {label.dtype}; a column of logits per row is needed"
        )
    if label.min() < 0 or label.max() >= z.shape[-1]:
        raise InputError(
            f"labels go from {label.min()} to {label.max()}; logits have the columns 0 to {z.shape[-1] - 1}"
        )
    if np.isnan(z).any() or (z == np.inf).any():
        raise InputError("logits hold a value that is not a number, or +inf; they are finite, or −inf")
    if (z == -np.inf).all(axis=-1).any():
        raise InputError("all logits of some row are −inf; some class must be possible")
    own = np.broadcast_to(np.arange(z.shape[-1]) == label[:, None], z.shape)
    others = np.where(own, -np.inf, z)
    highest = others.max(axis=-1, keepdims=True)
    highest[highest == -np.inf] = 0.0
    with np.errstate(divide="ignore"):
        rest = np.log(np.exp(others - highest).sum(axis=-1)) + highest[..., 0]
    return np.where(own, z, 0.0).sum(axis=-1) - rest


def loss_score(phi: Any) -> np.ndarray:
    """−cross-entropy of the label, log p = −log(1 + e^−φ), of any shape.

    Args:
        phi: log-odds of the label, from `confidence`.

    Raises:
        InputError: phi is not an array of numbers.

    Source: Yeom et al. (2018), whose attack is a threshold on it.

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import loss_score
        >>> loss_score(np.log([1, 3])).round(3).tolist()  # log .5 and log .75
        [-0.693, -0.288]
    """
    return -np.logaddexp(0.0, -numbers_of(phi, "phi"))


def reference_score(score: Any, reference: Any) -> np.ndarray:
    """The score minus that of a model without the task's data: φ − φ_base, or mean log-probabilities of texts.

    Args:
        score: float [..., n].
        reference: float [n], or of the score's shape.

    Raises:
        InputError: a reference of another shape.

    Source: Carlini et al. (2021); Mireshghallah et al. (2022). The model before fine-tuning is a free reference.

    Example:
        >>> from evenhand.metrics import reference_score
        >>> reference_score([3.0, 1.0], [1.0, 1.0]).tolist()
        [2.0, 0.0]
    """
    ours, theirs = numbers_of(score, "score"), numbers_of(reference, "reference")
    if theirs.shape not in (ours.shape, ours.shape[-1:]):
        raise InputError(
            f"reference has shape {theirs.shape} and the score {ours.shape}; one value per example is needed"
        )
    return ours - theirs


def attack_pool(
    phi: Any,
    membership: Any,
    pairs: Any,
    attack: Attack = "lira",
    mode: Mode = "online",
    variance: Variance = "pooled",
    *,
    reference: Any = None,
    gamma: float = 1.0,
    a: float = 0.3,
    shadow_phi: Any = None,
) -> np.ndarray:
    """Attack every model of a pool in turn, compared with all others except its twin.

    Args:
        phi: float [N, n], confidence of each model in each example's label. `loss` and `rmia` need log-odds; the others
            take any value that training raises, such as a text's mean log-probability.
        membership: bool [N, n], which model was trained on which example: exactly one of two twins on each.
        pairs: int [N], the index of each model's twin.
        attack: see the module.
        mode: for `lira` and `rmia`: `online` compares with IN and OUT models, `offline` only with OUT models.
        variance: for `lira`: `pooled`, `shrunk`, `per-example`, or `auto`, which depends on the number of models
            (`lira.py`).
        reference: float [n], for the attack of that name: φ of the base model.
        gamma, a: for `rmia` (`rmia.py`), whose z are all n examples; chosen without the target's membership.
        shadow_phi: float [N, n], confidence of the models to compare with, if they are models of another method,
            trained on the same halves. Target t is then compared with all of them except t and its twin.

    Returns:
        Scores [N, n], row t with model t as the target; more is more member-like.

    Raises:
        InputError: arrays that do not fit, an odd number of models, twins that are not complementary, or fewer models
            than the attack needs: for `lira` a pool of 8 (3 models per side), for `difficulty` and `rmia` one of 4.

    Source: Yeom et al. (2018, loss), Watson et al. (2022, difficulty calibration), Carlini et al. (2022, LiRA),
    Zarifzadeh et al. (2024, RMIA). Dropping the twin is ours; Ding et al. (2024) use shadows of
    one method for the targets of all methods.

    Example:
        Two pairs of models and two examples. Training raises φ by 2, and the second example is harder by 1:

        >>> from evenhand.metrics import attack_pool
        >>> phi = [[3, 0], [1, 2], [3, 0], [1, 2]]
        >>> membership = [[True, False], [False, True], [True, False], [False, True]]
        >>> attack_pool(phi, membership, pairs=[1, 0, 3, 2], attack="difficulty").tolist()
        [[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [0.0, 2.0]]
    """
    values = phi_of(phi, "phi", finite=attack != "loss")
    shadows = pool_shadows(_compared_with(values, shadow_phi), membership, pairs)
    return _scores(values, shadows, attack, mode, variance, reference, gamma, a)


def attack_without_each_pair(
    phi: Any,
    membership: Any,
    pairs: Any,
    attack: Attack = "lira",
    mode: Mode = "online",
    variance: Variance = "pooled",
    *,
    reference: Any = None,
    gamma: float = 1.0,
    a: float = 0.3,
    shadow_phi: Any = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Attack the pool without each pair of models in turn, for a jackknife over pairs.

    Args: `attack_pool`.

    Yields:
        For each pair, in the order of its first model: the remaining models, int [N − 2], and their scores,
        float [N − 2, n], each compared with the other remaining models.

    Raises:
        InputError: as `attack_pool` for the whole pool; or a pool of fewer than 6 models.

    Source: the attacks are those of `attack_pool`; the jackknife over pairs is ours.

    Example:
        >>> from evenhand.metrics import attack_without_each_pair
        >>> phi = [[3, 0], [1, 2]] * 3
        >>> membership = [[True, False], [False, True]] * 3
        >>> parts = attack_without_each_pair(phi, membership, pairs=[1, 0, 3, 2, 5, 4], attack="difficulty")
        >>> [kept.tolist() for kept, scores in parts]
        [[2, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 3]]
    """
    values = phi_of(phi, "phi", finite=attack != "loss")
    pool = pool_shadows(_compared_with(values, shadow_phi), membership, pairs)
    if len(pool.first) < 3:
        raise InputError(f"the pool has {len(values)} models; to leave a pair out and compare the rest it needs 6")
    for pair in range(len(pool.first)):
        kept, shadows = pool.without(pair)
        found = _scores(values[kept], shadows, attack, mode, variance, reference, gamma, a, least=LEAST_MODELS - 1)
        yield kept, found


def attack_targets(
    target_phi: Any,
    shadow_phi: Any,
    shadow_membership: Any = None,
    attack: Attack = "lira",
    mode: Mode = "offline",
    variance: Variance = "pooled",
    *,
    reference: Any = None,
    gamma: float = 1.0,
    a: float = 0.3,
) -> np.ndarray:
    """Attack targets with separate shadow models, the design of the papers.

    The shadows' training sets must not depend on the targets' (no shadow may be a target's complement). Otherwise the
    noise of a shadow reveals the membership, as the twin's would in a pool.

    Args:
        target_phi: float [T, n].
        shadow_phi: float [S, n].
        shadow_membership: bool [S, n]; None: no shadow was trained on any of these examples, and `mode` must be
            `offline`.
        attack, mode, variance, reference, gamma, a: as for `attack_pool`.

    Returns:
        Scores [T, n].

    Raises:
        InputError: arrays that do not fit, or an example with fewer shadows per side than the attack needs.

    Source: Carlini et al. (2022); Ding et al. (2024) use 16 offline shadows.

    Example:
        >>> from evenhand.metrics import attack_targets
        >>> attack_targets([[3.0, 0.0]], [[1.0, 0.0], [1.0, 2.0]], attack="difficulty").tolist()
        [[2.0, -1.0]]
    """
    finite = attack != "loss"
    targets, phi = phi_of(target_phi, "target_phi", finite), phi_of(shadow_phi, "shadow_phi", finite)
    if targets.shape[1] != phi.shape[1]:
        raise InputError(
            f"target_phi has {targets.shape[1]} examples and shadow_phi {phi.shape[1]}; they must be the same"
        )
    shadows = separate_shadows(len(targets), phi, shadow_membership)
    return _scores(targets, shadows, attack, mode, variance, reference, gamma, a)


def _compared_with(phi: np.ndarray, shadow_phi: Any) -> np.ndarray:
    """The confidences with which the pool is compared, float [N, n]: by default those of the pool."""
    if shadow_phi is None:
        return phi
    others = phi_of(shadow_phi, "shadow_phi")
    if others.shape != phi.shape:
        raise InputError(
            f"shadow_phi has shape {others.shape} and phi {phi.shape}; a shadow for each model of the pool is needed, "
            "trained on the same examples"
        )
    return others


def _scores(
    phi: np.ndarray,
    shadows: Shadows,
    attack: Attack,
    mode: Mode,
    variance: Variance,
    reference: Any,
    gamma: float,
    a: float,
    least: int = LEAST_MODELS,
) -> np.ndarray:
    if attack not in get_args(Attack):
        raise InputError(f'there is no attack "{attack}"; {did_you_mean(str(attack), get_args(Attack))}')
    if mode not in get_args(Mode):
        raise InputError(f'mode is "{mode}"; it is "online" or "offline"')
    if attack == "loss":
        return loss_score(phi)
    if attack == "reference":
        if reference is None:
            raise InputError('the attack "reference" needs reference, φ of the base model for each example')
        return reference_score(phi, reference)
    if attack == "rmia":
        return rmia(phi, shadows, online=mode == "online", gamma=gamma, a=a)
    if attack == "difficulty":
        if shadows.count(False).min() < 1:
            raise InputError("some example has no OUT model; difficulty calibration needs one (a pool of 4 models)")
        return phi - shadows.mean(False, shadows.values)[shadows.view]
    return (lira_online if mode == "online" else lira_offline)(phi, shadows, variance, least)
