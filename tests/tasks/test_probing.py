"""Claims about linear probes, their controls, and the representations that they read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.arrays.probe_answers import ProbeRun, probe_runs
from evenhand.audit.design import ProbedDesign
from evenhand.audit.estimands import Estimand
from evenhand.audit.kinds.probes import ProbeReading
from evenhand.audit.measures import measure_named
from evenhand.audit.reading import Estimate
from evenhand.audit.runs.items import ItemRuns, combined
from evenhand.errors import InputError
from evenhand.metrics.probing import probe_accuracy, selectivity
from evenhand.tasks.probing import ProbeTarget, _predicted_labels, control_labels, held_out, probe, probes_table
from evenhand.tasks.representations import representations, untrained
from tasks.prompts.language_models import language_model

SEEDS = tuple(range(5))


def target(labels, types=None, units=None) -> ProbeTarget:
    n = len(labels)
    names = np.array([f"e{i}" for i in range(n)], dtype=object)
    return ProbeTarget(
        "gender", np.asarray(labels), names if types is None else types, names if units is None else units, tuple(names)
    )


def words(n: int = 600, kinds: int = 40, seed: int = 0):
    """Occurrences of word types; a type's label is fixed."""
    rng = np.random.default_rng(seed)
    of_type = rng.permutation(np.arange(kinds) % 2)
    kind = rng.integers(kinds, size=n)
    return rng, of_type[kind], kind


def answers(states, given, **options) -> ProbeRun:
    """What the probes of the one layer tell."""
    (found,) = probe_runs(probes_table(probe(states, given, SEEDS, **options), "t"))
    return found


def mean(run: ProbeRun, measure: str) -> Estimate:
    """A measure of one run, over control tasks and examples, with its 95% interval."""
    names, design = sorted(run.examples), ProbedDesign(targets=("gender",))
    unit = {name: code for code, name in enumerate(names)}
    samples = {("method", 0): {"gender/0": run}}
    reading = ProbeReading("main", "test", ["method"], [], samples, {}, True, 10, np.array(names), design, unit)
    return dict(reading.estimates(Estimand(measure_named(measure), condition="gender/0"), "method"))[None]


def by_task(run: ProbeRun) -> ItemRuns:
    """Selectivity of one run, by control task and example."""
    tasks = measure_named("selectivity").influence(run)
    return ItemRuns.of([[LinearEstimate.mean(task) for task in tasks]], [np.arange(tasks.shape[1])])


def test_a_probe_is_a_ridge_classifier():
    rng = np.random.default_rng(0)
    for n, d in ((80, 12), (60, 150)):  # over features, over examples
        states, labels = rng.normal(size=(1, n, d)), rng.integers(0, 3, n)
        states[0, :, 0] += labels
        found = probe(states, target(labels), SEEDS, test=0.3, penalty=0.05)
        test = held_out(target(labels).units, 0.3, 0)
        scaler = StandardScaler().fit(states[0, ~test])
        oracle = RidgeClassifier(alpha=0.05 * (~test).sum()).fit(scaler.transform(states[0, ~test]), labels[~test])
        assert (found.correct[0, 0] == (oracle.predict(scaler.transform(states[0, test])) == labels[test])).all()
        assert found.examples == tuple(f"e{i}" for i in np.flatnonzero(test))


def test_what_a_probe_can_learn_by_heart_has_accuracy_and_no_selectivity():
    rng, labels, kind = words(1500)
    states = (np.eye(40)[kind] + 0.05 * rng.normal(size=(1500, 40)))[None]  # says which word, and nothing else
    found = answers(states, target(labels, kind))
    assert mean(found, "probe_accuracy").value > 0.99 and mean(found, "control_accuracy").value > 0.99
    nothing = mean(found, "selectivity")
    assert nothing.low <= 0 <= nothing.high < 0.01


def test_what_a_representation_says_of_the_label_is_selective():
    rng, labels, kind = words()
    states = (rng.normal(size=(600, 20)) + 2 * np.outer(labels - 0.5, np.eye(20)[0]))[None]
    found = answers(states, target(labels, kind))
    assert mean(found, "selectivity").low > 0.2
    assert mean(found, "selectivity").value == pytest.approx(float(selectivity(found.correct, found.control)))
    assert mean(found, "probe_accuracy").value == pytest.approx(float(probe_accuracy(found.correct)))


def test_a_unit_is_never_learnt_from_and_tested_on():
    rng = np.random.default_rng(0)
    labels, unit = rng.integers(0, 2, 300), np.repeat(np.arange(60), 5)
    labels = labels[unit]  # of the unit: known to whoever has seen it
    states = np.eye(60)[unit][None]
    apart, together = answers(states, target(labels, unit, unit)), answers(states, target(labels, unit))
    assert mean(together, "probe_accuracy").value > 0.9
    assert abs(mean(apart, "probe_accuracy").value - 0.5) < 0.2
    tested = held_out(unit, 0.4, 0)
    assert all(len(set(tested[unit == one])) == 1 for one in range(60)) and tested.sum() == 120


def test_control_labels_are_fixed_per_type_and_as_frequent_as_the_label():
    _, _, kind = words(4000, 1000)
    labels = (kind % 4 == 0).astype(int)
    drawn = [control_labels(target(labels, kind), seed) for seed in SEEDS]
    for control in drawn:
        assert all(len(set(control[kind == one])) <= 1 for one in range(0, 1000, 50))
        assert control.mean() == pytest.approx(labels.mean(), abs=0.002)
    assert len({control.tobytes() for control in drawn}) == 5


def test_where_there_is_nothing_to_find_intervals_hold_chance():
    """Labels and states are independent: 95% intervals of accuracy hold ½, those of selectivity 0."""
    held, repetitions, n = {"probe_accuracy": 0, "selectivity": 0}, 120, 300
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        given = target(rng.permutation(np.arange(n) % 2), np.arange(n) % 50)
        found = answers(rng.normal(size=(1, n, 8)), given, seed=repetition)
        for name, chance in (("probe_accuracy", 0.5), ("selectivity", 0.0)):
            one = mean(found, name)
            held[name] += one.low <= chance <= one.high
    assert all(count / repetitions >= 0.9 for count in held.values()), held


@pytest.mark.slow
@pytest.mark.parametrize("signal", [0.5, 1.5])
def test_intervals_cover_what_probes_reach_on_new_examples(signal):
    """Truth: what the probes that were learnt tell right of 4,000 further examples."""
    n, more = 400, 4000
    held, repetitions = np.zeros(2), 200
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        kind = rng.integers(50, size=n + more)
        states = rng.normal(size=(1, n + more, 10))
        states[0, :, 0] += signal * (kind % 2 - 0.5)
        given = target(kind % 2, kind, np.where(np.arange(n + more) < n, np.arange(n + more), -1))
        tested = held_out(given.units[:n], 0.4, seed)
        controls = np.stack([given.labels, *(control_labels(given, control) for control in SEEDS)])
        learnt = np.flatnonzero(~tested)
        right = _predicted_labels(states[0, learnt], controls[:, learnt], states[0], 2, 0.01) == controls
        now, truth = right[:, :n][:, tested], right[:, n:]
        found = ProbeRun("gender", 0, tuple(f"e{i:03d}" for i in range(tested.sum())), now[0], now[1:])
        for place, (one, true) in enumerate(
            (
                (mean(found, "probe_accuracy"), truth[0].mean()),
                (mean(found, "selectivity"), truth[0].mean() - truth[1:].mean()),
            )
        ):
            held[place] += one.low <= true <= one.high
    assert ((held / repetitions >= 0.9) & (held / repetitions <= 0.995)).all(), held / repetitions


def test_a_contrast_is_taken_example_by_example():
    rng, labels, kind = words()
    noise = rng.normal(size=(600, 20))
    sides = []
    for strength in (2.0, 1.0):
        states = (noise + strength * np.outer(labels - 0.5, np.eye(20)[0]))[None]
        sides.append(answers(states, target(labels, kind)))
    first, second = (by_task(side) for side in sides)
    found = combined((1, -1), (first, second)).mean.whole
    assert found.interval()[0] > 0
    assert found.estimate == pytest.approx(first.mean.whole.estimate - second.mean.whole.estimate)
    assert found.standard_error < np.hypot(first.mean.whole.standard_error, second.mean.whole.standard_error)
    none = combined((1, -1), (first, first)).mean.whole
    assert none.estimate == none.variance == 0


# Representations


@pytest.mark.parametrize("name", ["tiny-llama", "tiny-mistral"])
def test_states_are_those_of_every_layer_whatever_else_is_in_the_batch(name):
    model, tokenizer = language_model(name)
    texts = ["The nurse was late.", "A much longer text about the soup and the bread.", "Fine."]
    spans = [(4, 9), (2, 6), (0, 4)]
    found = {
        pooling: representations(model, tokenizer, texts, spans=spans, pooling=pooling) for pooling in ("last", "mean")
    }
    assert found["last"].shape == (3, 3, 64) and found["last"].dtype == np.float32
    for row, text in enumerate(texts):
        encoded = tokenizer(text, return_offsets_mapping=True)
        inside = [at for at, (a, b) in enumerate(encoded["offset_mapping"]) if a < spans[row][1] and b > spans[row][0]]
        with torch.no_grad():
            states = model(torch.tensor([encoded["input_ids"]]), output_hidden_states=True).hidden_states
        for layer, state in enumerate(states):
            assert found["last"][layer, row] == pytest.approx(state[0, inside[-1]].numpy(), abs=1e-5)
            assert found["mean"][layer, row] == pytest.approx(state[0, inside].mean(0).numpy(), abs=1e-5)
    alone = representations(model, tokenizer, texts, spans=spans, batch_tokens=1)
    assert np.abs(alone - found["last"]).max() < 1e-5


def test_a_model_without_training_has_the_same_shape_and_other_weights():
    model, tokenizer = language_model("tiny-llama")
    fresh = untrained(model, 0)
    shape = representations(fresh, tokenizer, ["The nurse."])
    assert shape.shape == representations(model, tokenizer, ["The nurse."]).shape
    assert np.array_equal(shape, representations(untrained(model, 0), tokenizer, ["The nurse."]))
    assert not np.array_equal(shape, representations(untrained(model, 1), tokenizer, ["The nurse."]))


# Bad input


def test_bad_input_is_refused_in_a_sentence():
    labels = np.arange(20) % 2
    states = np.random.default_rng(0).normal(size=(1, 20, 3))
    model, tokenizer = language_model("tiny-llama")
    with pytest.raises(InputError, match="4 different control tasks; it needs 5 or more, all different"):
        probe(states, target(labels), (0, 1, 2, 3, 3))
    with pytest.raises(InputError, match="every label is the same"):
        target(np.zeros(4, dtype=int))
    with pytest.raises(InputError, match=r"of 1 units a test share of 0.4 leaves none"):
        probe(states, target(labels, None, np.zeros(20)))
    with pytest.raises(InputError, match=r"should be \[layers, 20 examples, width\]"):
        probe(states[0], target(labels))
    with pytest.raises(InputError, match="is not finite"):
        probe(np.full((1, 20, 3), np.nan), target(labels))
    with pytest.raises(InputError, match="no texts"):
        representations(model, tokenizer, [])
    with pytest.raises(InputError, match="text 1 has no token"):
        representations(model, tokenizer, ["a b", "a b"], spans=[(0, 1), (3, 3)])
    table = probes_table(probe(states, target(labels)), "t")
    with pytest.raises(InputError, match="the label itself and its control tasks"):
        probe_runs(table.filter(table["control_seed"].is_null()))
    with pytest.raises(InputError, match="of one or more each"):
        selectivity(np.ones(4), np.ones((2, 3)))
