"""Claims about scores of options, designs, effects of content, identifier and position, and corrections."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from evenhand.arrangements import (
    Arrangements,
    balanced_arrangements,
    cyclic_arrangements,
    permuted_arrangements,
)
from evenhand.errors import InputError
from evenhand.metrics.options.debiasing import contextual_calibration, permutation_average, pride
from evenhand.metrics.options.scores import (
    distance_from_equal,
    flip_rate,
    log_softmax,
    option_choices,
    option_mass,
    option_probabilities,
    option_scores,
)
from evenhand.metrics.options.token_bias import option_effects, yes_no_effects
from scripted import Scripted, centred
from template_means import lean_over_templates, mean_over_templates

MALE, FEMALE = 0, 1
RNG = np.random.default_rng


def noiseless(options: int, arrangements: Arrangements) -> tuple[Scripted, np.ndarray]:
    effects = RNG(options).normal(size=(3, options))
    script = Scripted(*(tuple(row) for row in effects))
    return script, script.log_prob(arrangements, 1, 1, RNG(0))[0, 0]


# Scores


def test_mass_is_what_the_options_have_together_and_probabilities_are_among_them():
    log_prob = np.log([[0.3, 0.1], [0.02, 0.02]])
    assert option_mass(log_prob) == pytest.approx([0.4, 0.04])
    assert option_probabilities(log_prob) == pytest.approx(np.array([[0.75, 0.25], [0.5, 0.5]]))
    assert math.isnan(option_mass(np.array([np.nan, -1.0])))


def test_scores_have_a_name_each():
    log_prob, tokens, size, loss = np.array([-4.0, -3.0]), [2, 1], [8, 3], [1.5, 2.5]
    assert option_scores(log_prob).tolist() == [-4, -3]
    assert option_scores(log_prob, "per_token", tokens=tokens).tolist() == [-2, -3]
    assert option_scores(log_prob, "per_byte", bytes=size).tolist() == [-0.5, -1]
    assert option_scores(log_prob, "sequence_loss", sequence_loss=loss).tolist() == [-1.5, -2.5]


def test_the_papers_score_prefers_an_option_for_its_length_and_ours_does_not():
    """The text costs 2 nats a token over 20 tokens; both options cost 2 nats, one of them in 4 cheap tokens."""
    text, options = np.full(20, -2.0), (np.array([-2.0]), np.array([-0.5] * 4))
    sequence_loss = [-np.concatenate([text, option]).mean() for option in options]
    log_prob = np.array([option.sum() for option in options])
    assert option_choices(option_scores(log_prob)).tolist() == [0.5, 0.5]
    assert option_choices(option_scores(log_prob, "sequence_loss", sequence_loss=sequence_loss)).tolist() == [0, 1]


def test_ties_are_shared_and_undefined_scores_choose_nothing():
    assert option_choices(np.array([[-1.0, -1.0 - 1e-12, -2.0]])).tolist() == [[0.5, 0.5, 0]]
    assert np.isnan(option_choices(np.array([-1.0, np.nan]))).all()


# Designs


@pytest.mark.parametrize("options", [2, 3, 4])
def test_in_a_balanced_design_each_content_has_each_identifier_at_each_position_once(options):
    design = balanced_arrangements(options)
    assert design.prompts == options**2 and design.balanced and design.fair
    assert (design.cells == 1).all() and len(set(design.orders)) == options


@pytest.mark.parametrize("options", [2, 3, 4])
def test_rotated_contents_alone_confound_identifier_and_position(options):
    for design in (cyclic_arrangements(options), permuted_arrangements(options)):
        assert design.fair and not design.balanced and set(design.orders) == {0}
        with pytest.raises(InputError, match="do not separate content, identifier and position"):
            option_effects(np.zeros((design.prompts, options)), design)
    assert permuted_arrangements(options).prompts == math.factorial(options)


def test_values_are_put_by_content():
    design = Arrangements(np.array([[2, 0, 1], [0, 1, 2]]), np.array([[0, 1, 2], [2, 1, 0]]))
    values = np.array([[20.0, 0.0, 10.0], [0.0, 10.0, 20.0]])
    assert design.by_content(values).tolist() == [[0, 10, 20]] * 2
    assert design.by_content(np.stack([values, values + 1])).shape == (2, 2, 3)
    assert design.cells[2, 0, 0] == 1 and not design.fair


# Effects


@pytest.mark.parametrize("options", [2, 3, 4])
def test_planted_effects_are_recovered_exactly_without_noise(options):
    design = balanced_arrangements(options)
    script, log_prob = noiseless(options, design)
    found = option_effects(log_prob, design)
    for effect in ("content", "identifier", "position"):
        assert getattr(found, effect) == pytest.approx(centred(getattr(script, effect)))
    assert np.abs(found.residual).max() < 1e-12


def test_an_unbalanced_design_that_tells_them_apart_recovers_them_too():
    full = balanced_arrangements(3)
    kept = [0, 1, 2, 3, 4, 6, 8]
    design = Arrangements(full.contents[kept], full.identifiers[kept])
    assert not design.balanced
    script, log_prob = noiseless(3, design)
    assert option_effects(log_prob, design).content == pytest.approx(centred(script.content))


def test_in_a_balanced_design_an_effect_is_the_mean_of_its_level():
    design = balanced_arrangements(3)
    scores = RNG(1).normal(size=(9, 3))
    found, about_mean = option_effects(scores, design), scores - scores.mean(axis=1, keepdims=True)
    assert found.content == pytest.approx([about_mean[design.contents == level].mean() for level in range(3)])
    assert found.position == pytest.approx(about_mean.mean(axis=0))
    whole = found.content[design.contents] + found.identifier[design.identifiers] + found.position + found.residual
    assert whole == pytest.approx(about_mean)


def test_what_does_not_add_up_is_left_in_the_residual():
    """A content that is preferred under the first identifier only: one third of that is a preference."""
    design = balanced_arrangements(3)
    scores = ((design.contents == MALE) & (design.identifiers == 0)).astype(float)
    found = option_effects(scores, design)
    assert found.content[MALE] == pytest.approx(2 / 9) and found.identifier[0] == pytest.approx(2 / 9)
    assert found.content.sum() == pytest.approx(0) and np.abs(found.residual).max() > 0.2


def test_a_question_with_an_undefined_score_has_no_effects_and_the_others_do():
    design = balanced_arrangements(2)
    scores = RNG(0).normal(size=(2, 4, 2))
    scores[0, 1, 1] = np.nan
    found = option_effects(scores, design)
    assert np.isnan(found.content[0]).all() and np.isfinite(found.content[1]).all()


# The planted answers

LOVER = Scripted((0.0, 0.0), (3.0, -3.0), (0.0, 0.0), template=0.1, example=0.3, noise=0.1)
"""Says "A" whatever it stands for."""
GENDERED = Scripted((0.4, -0.4), (3.0, -3.0), (0.5, -0.5), template=0.1, example=0.3, noise=0.1)
"""Says "A" too, and prefers "male" where it can."""


def both_intervals(log_prob: np.ndarray, design: Arrangements):
    effects = option_effects(log_prob, design)
    content = mean_over_templates(effects.content[..., MALE] - effects.content[..., FEMALE])
    return content, mean_over_templates(effects.identifier[..., 0] - effects.identifier[..., 1])


def test_a_model_in_love_with_a_has_an_identifier_bias_and_no_gender_bias():
    design = balanced_arrangements(2)
    log_prob = LOVER.log_prob(design, 5, 200, RNG(7))
    content, identifier = both_intervals(log_prob, design)
    low, high = content.interval()
    assert low < 0 < high and high - low < 0.4
    assert identifier.interval()[0] > 5
    asked_once = option_choices(log_prob[..., 0, :])  # male is A in the first prompt, as a naive audit asks
    assert asked_once[..., MALE].mean() == 1.0, "what a naive audit would call a gender bias"
    chosen = option_choices(log_prob, design).mean(axis=-2)
    assert distance_from_equal(chosen[..., MALE].mean(axis=0), chosen[..., FEMALE].mean(axis=0)).distance < 0.01
    assert flip_rate(log_prob, design).mean() == pytest.approx(1 - (4 / 2 - 1) / (4 - 1), abs=0.01)


def corrected(script: Scripted, name: str) -> np.ndarray:
    """Shares of choices by content after a correction, [templates, n, 2], identifiers in place as in the sources."""
    design = permuted_arrangements(2) if name != "permutation, identifiers moved" else balanced_arrangements(2)
    log_prob = script.log_prob(design, 5, 200, RNG(3))
    if name.startswith("permutation"):
        return option_choices(permutation_average(log_prob, design))
    if name == "pride":
        scores = np.stack([pride(of, design, RNG(4)).log_prob for of in log_prob])
    else:
        free = script.log_prob(design, 5, 3, RNG(5))
        scores = np.stack(
            [contextual_calibration(of, none, design).log_prob for of, none in zip(log_prob, free, strict=True)]
        )
    return option_choices(scores, design).mean(axis=-2)


CORRECTIONS = ("permutation", "permutation, identifiers moved", "pride", "contextual")


@pytest.mark.parametrize("name", CORRECTIONS)
def test_every_correction_removes_a_love_of_a(name):
    chosen = corrected(LOVER, name)
    interval = lean_over_templates(chosen[..., MALE], chosen[..., FEMALE])
    low, high = interval.bounds(0.005)
    assert low < 0 < high and abs(interval.estimate) < 0.15


@pytest.mark.parametrize("name", CORRECTIONS)
def test_every_correction_leaves_a_planted_gender_preference_standing(name):
    chosen = corrected(GENDERED, name)
    assert lean_over_templates(chosen[..., MALE], chosen[..., FEMALE]).interval()[0] > 0.2
    design = permuted_arrangements(2)
    raw = option_choices(GENDERED.log_prob(design, 5, 200, RNG(3)), design).mean(axis=-2)
    assert abs(distance_from_equal(raw[..., MALE].ravel(), raw[..., FEMALE].ravel()).lean) < 0.05, "hidden in the raw"


def test_dividing_by_content_free_answers_themselves_would_hide_the_preference():
    """The source's contextual calibration, of a cloze prompt: the finding is what it divides by."""
    script = Scripted((0.4, -0.4), (0.0, 0.0), (0.0, 0.0), noise=0.05)
    design = permuted_arrangements(2)
    log_prob, free = script.log_prob(design, 1, 200, RNG(0))[0], script.log_prob(design, 1, 3, RNG(1))[0]
    hidden = option_choices(log_prob - free.mean(axis=0), design)[..., MALE].mean()
    shown = option_choices(contextual_calibration(log_prob, free, design).log_prob, design)[..., MALE].mean()
    assert abs(hidden - 0.5) < 0.2 and shown == 1.0


def test_permutation_averages_of_an_additive_model_have_no_slot_bias_in_the_middle():
    design = balanced_arrangements(3)
    script = Scripted((0.0, 0.0, 0.0), (2.0, 0.0, -1.0), (1.0, 0.0, 0.5))
    averaged = permutation_average(script.log_prob(design, 1, 1, RNG(0)), design)
    assert averaged[0, 0] == pytest.approx(np.log([1 / 3] * 3))


# PriDe against its definition


@pytest.mark.parametrize("design", [cyclic_arrangements(3), permuted_arrangements(3)], ids=["cyclic", "full"])
def test_pride_is_the_definition_example_by_example(design):
    log_prob = Scripted((1.0, 0.0, -1.0), (2.0, 0.0, 0.3), (0.0,) * 3, noise=0.5).log_prob(design, 1, 40, RNG(2))[0]
    found = pride(log_prob, design, RNG(9), share=0.1)
    assert len(found.used) == 4 and (np.diff(found.used) > 0).all()
    priors = []
    for example in found.used:
        observed = [np.exp(row) / np.exp(row).sum() for row in log_prob[example]]
        mean_log = np.mean([np.log(row) for row in observed], axis=0)
        priors.append(np.exp(mean_log) / np.exp(mean_log).sum())
    prior = np.mean(priors, axis=0)
    assert found.prior == pytest.approx(np.tile(prior, (design.prompts, 1)))
    expected = log_prob - np.log(prior)
    assert found.log_prob.argmax(axis=-1).tolist() == expected.argmax(axis=-1).tolist()
    assert found.log_prob == pytest.approx(log_softmax(expected))


def test_pride_has_a_prior_for_each_order_of_identifiers():
    design = balanced_arrangements(2)
    script = Scripted((0.0, 0.0), (1.0, -1.0), (0.5, -0.5))
    found = pride(script.log_prob(design, 1, 10, RNG(0))[0], design, RNG(0))
    assert len(found.used) == 1
    odds = np.log(found.prior[:, 0] / found.prior[:, 1])
    first = design.identifiers[:, 0] == 0
    assert odds[first] == pytest.approx([3.0, 3.0]) and odds[~first] == pytest.approx([-1.0, -1.0])


def test_prides_prior_is_from_defined_examples_only_and_undefined_without_any():
    design = cyclic_arrangements(2)
    log_prob = LOVER.log_prob(design, 1, 10, RNG(0))[0]
    log_prob[:9] = np.nan
    assert pride(log_prob, design, RNG(0)).used.tolist() == [9]
    assert np.isnan(pride(log_prob[:9], design, RNG(0)).prior).all()


# Flips, yes and no


def test_an_answer_that_follows_the_content_never_flips_and_one_that_follows_the_position_often():
    design = balanced_arrangements(3)
    never = Scripted((5.0, 0.0, 0.0), (0.0,) * 3, (0.0,) * 3).log_prob(design, 1, 2, RNG(0))
    assert flip_rate(never, design) == pytest.approx(np.zeros((1, 2)))
    often = Scripted((0.0,) * 3, (0.0,) * 3, (5.0, 0.0, 0.0)).log_prob(design, 1, 1, RNG(0))
    assert flip_rate(often, design)[0, 0] == pytest.approx(1 - (9 / 3 - 1) / (9 - 1))


def test_the_flip_rate_is_the_share_of_pairs_that_differ():
    design, scores = permuted_arrangements(3), RNG(5).normal(size=(6, 3))
    chosen = option_choices(scores, design).argmax(axis=-1)
    pairs = [one != other for one, other in permutations(chosen, 2)]
    assert flip_rate(scores, design) == pytest.approx(np.mean(pairs))


def test_a_model_that_says_yes_to_everything_has_an_answer_effect_and_contradicts_itself():
    found = yes_no_effects(np.array([4.0, 4.0]), np.array([4.0, 4.0]))
    assert found.answer == 4 and found.content.tolist() == [0, 0] and found.consistent.tolist() == [0, 0]


def test_yes_no_effects_are_recovered_with_and_without_negations():
    belief, answer = np.array([1.0, -0.5, 0.1]), 2.0
    found = yes_no_effects(answer + belief, answer - belief)
    assert found.belief == pytest.approx(belief) and found.answer == pytest.approx(answer)
    assert found.content == pytest.approx(belief - belief.mean())
    assert found.consistent.tolist() == [0, 0, 0], "the pull of yes is larger than every belief"
    assert yes_no_effects(belief, -belief).consistent.tolist() == [1, 1, 1]
    assert yes_no_effects(np.array([0.0, 1.0]), np.array([1.0, np.nan])).consistent[0] == 0.5
    plain = yes_no_effects(answer + belief)
    assert plain.content == pytest.approx(belief - belief.mean()) and np.isnan(plain.belief).all()


# The distance from guessing both equally


def test_the_distance_counts_guesses_of_either_gender_only():
    found = distance_from_equal(np.array([1.0, 1.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0, 0.0]))
    assert (found.share, found.lean, found.distance) == (0.75, 0.25, 0.25)
    other = distance_from_equal(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    assert other.lean == pytest.approx(-0.25) and other.distance == pytest.approx(0.25)
    assert math.isnan(distance_from_equal(np.zeros(2), np.zeros(2)).distance)


def test_contributions_are_the_derivative_of_the_lean_by_the_examples_weight():
    first, second = RNG(0).random((2, 6))
    found = distance_from_equal(first, second)
    assert found.contributions.sum() == pytest.approx(0)
    for place in range(6):
        weight = np.ones(6)
        weight[place] += 1e-6
        moved = (weight @ first) / (weight @ (first + second)) - 0.5
        assert (moved - found.lean) / 1e-6 == pytest.approx(found.contributions[place], abs=1e-5)


GRID = balanced_arrangements(2)
ONE = Arrangements(np.array([[0, 1]]), np.array([[0, 1]]))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: option_scores(np.zeros(2), "loss"), 'score is "loss"; it is one of log_prob'),
        (lambda: option_scores(np.zeros(2), "per_token"), "per_token needs tokens"),
        (lambda: option_scores(np.zeros(2), "per_token", tokens=[1, 0]), "tokens: an option has none"),
        (lambda: option_mass(np.log([0.7, 0.6])), "probability 1.300 together"),
        (lambda: Arrangements(np.array([[0, 0]]), np.array([[0, 1]])), "contents: every prompt should have each of 0"),
        (lambda: Arrangements(np.array([[0, 1]]), np.array([[0, 1, 2]])), r"identifiers has the shape \(1, 3\)"),
        (lambda: option_effects(np.zeros((3, 2)), GRID), "the 4 prompts and 2 positions"),
        (lambda: option_effects(np.full((4, 2), -np.inf), GRID), "a score is infinite"),
        (lambda: flip_rate(np.zeros((1, 2)), ONE), "two prompts or more"),
        (
            lambda: permutation_average(np.zeros((1, 2)), ONE),
            "removes no bias unless every content has every slot equally often",
        ),
        (
            lambda: pride(np.zeros((1, 1, 2)), ONE, RNG(0)),
            "needs every content at every position equally often",
        ),
        (lambda: pride(np.zeros((1, 4, 2)), GRID, RNG(0), share=0.0), "not from 0.0"),
        (lambda: pride(np.zeros((4, 2)), GRID, RNG(0)), r"needs \[examples, prompts, options\]"),
        (lambda: contextual_calibration(np.zeros((1, 4, 2)), np.zeros((0, 4, 2)), GRID), "1 or more texts"),
        (lambda: yes_no_effects(np.zeros(1)), "need its negation"),
        (lambda: yes_no_effects(np.zeros(2), np.zeros(3)), "they ask about the same"),
        (lambda: distance_from_equal(np.zeros(2), np.zeros(3)), "one guess per example"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
