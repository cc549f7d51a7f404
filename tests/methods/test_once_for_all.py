"""Once-for-all: its phases, what a step draws, what it learns from, and the selection at the end."""

from functools import cache, partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.genotype import random
from dnas.architectures.topology import NetworkSize, with_operations
from dnas.config import SearchConfig
from dnas.costs import budget
from dnas.errors import UserError
from dnas.methods import once_for_all
from dnas.nets import work
from dnas.nets.functional import functionalize
from dnas.search import predicted, select
from dnas.search.method import adapted
from dnas.tasks.classification import Classification
from dnas.types import Batch, Evaluated

SPACE = find.resolve("space", "ofa:size=tiny,kernels=3+5+7")
CONFIG = SearchConfig(epochs=8)


def phases_of(choice):
    method = adapted(find.resolve("method", choice), SPACE, CONFIG)
    return method, method.phases(SPACE, CONFIG)


def drawn(phase, method):
    """How many options of every kind 300 draws of a phase use."""
    relax = phase.method(method).weight_relax
    mixes = jax.jit(jax.vmap(lambda key: relax((), key, None)))(jax.random.split(jax.random.key(0), 150))
    return {kind: np.flatnonzero(np.asarray(m).any((0, 1, 2))).tolist() for kind, m in mixes.items()}


def test_options_open_phase_by_phase_from_the_largest():
    method, phases = phases_of("once_for_all:order=kernel+kernel+depth+expansion,epochs=2+1+1+1+3,rates=1+0.5+0.1+1+1")
    assert [phase.config.epochs for phase in phases] == [2, 1, 1, 1, 3]
    rates = [phase.config.weights.learning_rate for phase in phases]
    assert rates == pytest.approx([0.025, 0.0125, 0.0025, 0.025, 0.025])
    assert drawn(phases[0], method) == {"kernel": [2], "depth": [1], "expansion": [1]}
    assert drawn(phases[1], method) == {"kernel": [1, 2], "depth": [1], "expansion": [1]}
    assert drawn(phases[2], method) == {"kernel": [0, 1, 2], "depth": [1], "expansion": [1]}
    assert drawn(phases[4], method) == {"kernel": [0, 1, 2], "depth": [0, 1], "expansion": [0, 1]}
    assert [phase.method(method).teacher for phase in phases] == [False, True, True, True, True]


def test_the_sandwich_has_the_largest_the_smallest_and_random_ones():
    method, (_,) = phases_of("once_for_all:rule=sandwich,samples=3")
    mix = method.weight_relax((), jax.random.key(0), None)
    assert {kind: m.shape for kind, m in mix.items()} == {k: (5, *s) for k, s in SPACE.mix_shapes.items()}
    for table in mix.values():
        assert (table[0, :, -1] == 1).all() and (table[1, :, 0] == 1).all()
        np.testing.assert_array_equal(table.sum(-1), 1)


def test_the_teacher_looks_once_at_a_batch_where_it_teaches_all_paths_alike():
    """A path is one product and its derivative by the weights."""
    x, w, mix = jnp.ones((2, 3)), jnp.ones((3, 4)), {"kernel": jnp.ones((5, 1, 2))}

    def loss(weights, path, lesson):
        y = x @ weights
        taught = 0.0 if lesson.outputs is None else (lesson.outputs * y).sum()
        return path["kernel"].sum() + y.sum() + taught, Evaluated((), outputs=y)

    def products(*kinds):
        step = partial(once_for_all.by_a_teacher, lambda *_: {"kernel": jnp.ones((1, 2))}, kinds, 1.0, loss)
        traced = jax.make_jaxpr(lambda w, teacher: step(w, mix, None, teacher=teacher))(w, w)
        return work.multiply_adds(traced.jaxpr) / (2 * 3 * 4)

    assert products("kernel") == 5 * 2 + 1 and products("depth") == 5 * 3


def test_what_is_selected_is_normalised_by_calibrated_statistics():
    """Unless it is asked not to be; the score at the end of the search too."""
    given = []

    def evaluate(mix, **norms):
        given.append(norms)
        return 0.0

    for choice, expected in (("", {"calibrate": 2000}), ("calibration=0,", {"train": True})):
        given.clear()
        method = find.resolve("method", f"once_for_all:{choice}probes=2,population=2,generations=1,finalists=1")
        method.select(SPACE, {}, evaluate, 0)
        assert given and all(norms == expected == select.norms(method.calibration) for norms in given)


def test_classes_are_distilled_by_the_other_networks_probabilities():
    logits, others = jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([[0.0, 0.0], [50.0, 0.0]])
    batch = Batch((), jnp.array([0, 1]), jnp.array([1.0, 1.0]))
    expected = np.mean([-0.5 * np.log(np.exp([1.0, 2.0]) / np.exp([1.0, 2.0]).sum()).sum(), np.log(2)])
    np.testing.assert_allclose(Classification().distilled(logits, others, batch), expected, rtol=1e-6)
    one = batch._replace(weights=jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(Classification().distilled(logits, others, one), np.log(2), rtol=1e-6)


def test_what_is_selected_keeps_the_limit_and_is_the_best_of_what_was_tried():
    bound = budget.build("parameters<6000", SPACE, NetworkSize(1, 1, 10), 8)
    asked = []

    def evaluate(mix, train=False, batches=None):
        asked.append(mix)
        return float(np.mean(mix["kernel"][:, -1]) + np.mean(mix["depth"][:, -1]))

    breeding = predicted.Breeding(10, 10, 3, 0.3, 0.3, 4)
    found = predicted.evolution(breeding, cache(bound.allows))(SPACE, {}, evaluate, 0)
    assert bound.of(found) <= 6000 < bound.of(random(largest_alone(), 0))
    assert 10 < len(asked) <= 14
    best = max(np.mean(mix["kernel"][:, -1]) + np.mean(mix["depth"][:, -1]) for mix in asked)
    assert np.mean([edge.operation == "7" for edge in found.cell("kernel").edges]) + np.mean(
        [edge.operation == "2" for edge in found.cell("depth").edges]
    ) == pytest.approx(best)


def test_where_no_probe_is_within_the_budget_it_says_so(monkeypatch):
    monkeypatch.setattr(select, "REFUSALS", 3)
    with pytest.raises(UserError, match="No architecture that was drawn is within the budget"):
        predicted.evolution(predicted.Breeding(2, 2, 1, 1.0, 0.1, 1), lambda genotype: False)(SPACE, {}, None, 0)


def largest_alone():
    return with_operations(SPACE, {k: [names[-1:] for names in c.operations] for k, c in SPACE.cells.items()})


def test_a_phase_begins_with_sorted_channels():
    network = functionalize(lambda rngs: SPACE.supernet(SPACE, NetworkSize(1, 1, 3), rngs=rngs))
    weights, stats = network.init(jax.random.key(0))
    state = SimpleNamespace(weights=weights, stats=stats)
    state._replace = lambda **changes: SimpleNamespace(**{**vars(state), **changes})
    begun = once_for_all.reordered("expansion", 1, SPACE, state)
    importance = np.abs(begun.weights["stages"][0][0]["project"]["kernel"]).sum((0, 1, 3))
    assert (np.diff(importance) <= 0).all()
    same = once_for_all.reordered("kernel", 1, SPACE, state)
    np.testing.assert_array_equal(
        same.weights["stages"][0][0]["project"]["kernel"], weights["stages"][0][0]["project"]["kernel"]
    )


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("once_for_all:rule=shrink", "Unknown rule of method 'once_for_all'"),
        ("once_for_all:rule=sandwich,order=kernel", "all options are open from the first step"),
        ("once_for_all:order=kernal", "Unknown decision of 'ofa' in the setting 'order'"),
        ("once_for_all:order=kernel,epochs=1+2", "search.epochs is 8"),
        ("once_for_all:order=kernel,epochs=1+2+5", "has 3 numbers"),
    ],
)
def test_mistakes_are_one_sentence(choice, says):
    with pytest.raises(UserError, match=says):
        phases_of(choice)
