"""Ablation and curvature of a supernet whose weights are set, so that one decision matters and the others do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from dnas.architectures.genotype import as_mix
from dnas.architectures.genotype_data import of_decisions
from dnas.config import AlphaConfig, AugmentConfig, Config, SearchConfig
from dnas.explain import ablation, curvature
from dnas.explain.ablation import Variant
from dnas.explain.decisions import decisions_of
from dnas.search.run import build
from dnas.types import Clock

CONFIG = Config(
    space="tabular:layers=1,widths=1,norms=none,dropouts=0,activations=relu+tanh,skips=none+identity",
    data="wine",
    search=SearchConfig(
        epochs=1,
        cells=1,
        channels=13,
        batch_size=16,
        augment=AugmentConfig(pad=0, flip=False),
        alphas=AlphaConfig(decay=0.01),
    ),
)
GENOTYPE = of_decisions(
    "tabular", [{"width": "1", "activation": "tanh", "skip": "identity", "norm": "none", "dropout": "0"}]
)


@pytest.fixture(scope="module")
def built():
    """A layer that gives nothing but its skip connection, and a head of random weights without a bias."""
    stage = build(CONFIG).stage
    state = stage.init(stage.seeds).state
    weights = jax.tree.map(lambda leaf: leaf, state.weights)
    layer, head = weights["layers"]["layers"][0]["dense"], weights["layers"]["classifier"]
    layer["kernel"], layer["bias"] = layer["kernel"] * 0, layer["bias"] * 0
    head["bias"] = head["bias"] * 0
    return stage, state._replace(weights=weights)


@pytest.fixture(scope="module")
def measured(built):
    stage, state = built
    mix = {kind: np.asarray(rows[0]) for kind, rows in stage.mixes(state).items()}
    bases = {"mix": mix, "found": as_mix(GENOTYPE, stage.space)}
    decisions = decisions_of(stage.space, GENOTYPE)
    mixes = ablation.variants(decisions, bases, table=True)
    found = ablation.measured(stage, state, 0, list(mixes.values()))
    return decisions, mixes, dict(zip(mixes, found, strict=True))


def test_what_matters_by_construction_is_what_the_ablation_finds(measured):
    decisions, _, found = measured
    assert {(v.decision, v.change) for v in found if v.decision >= 0} == {
        (number, change)
        for number, one in enumerate(decisions)
        for change in ("removed", "alone", "replaced")
        if len(one.options) > 1  # the others are no decisions
    }
    labels = [decision.label for decision in decisions]
    base, skip, activation = found[Variant("found")], labels.index("skip 1"), labels.index("activation 1")
    without = found[Variant("found", "replaced", skip, 0)]
    assert without.loss == pytest.approx(np.log(3), rel=1e-6)  # the network says nothing
    assert abs(base.loss - without.loss) > 0.01
    for option in (0, 1):
        assert found[Variant("found", "replaced", activation, option)] == pytest.approx(base)
        assert found[Variant("mix", "removed", activation, option)] == pytest.approx(found[Variant("mix")])
    assert found[Variant("found", "replaced", skip, 1)] == pytest.approx(base)
    assert found[Variant("mix", "removed", skip, 1)].loss == pytest.approx(np.log(3), rel=1e-6)
    assert found[Variant("mix", "alone", skip, 1)] == pytest.approx(base)


def test_all_at_once_is_one_by_one(built, measured):
    stage, state = built
    _, mixes, found = measured
    alone = stage.evaluator(state, 0)
    assert len(mixes) > ablation.CHUNK and len(mixes) % ablation.CHUNK  # two calls of the program, the last not full
    for variant in list(mixes)[::3]:
        score, loss = alone(mixes[variant], train=True)
        assert found[variant] == (pytest.approx(score), pytest.approx(loss, rel=1e-5), 71)


def test_a_part_of_the_batches_is_asked(built):
    stage, state = built
    (one,) = ablation.measured(stage, state, 0, [as_mix(GENOTYPE, stage.space)], batches=1)
    score, loss = stage.evaluator(state, 0)(as_mix(GENOTYPE, stage.space), train=True, batches=1)
    assert one[:2] == pytest.approx((score, loss))


def test_curvature_is_the_largest_eigenvalue_of_the_dense_hessian(float64):
    stage = build(Config(**{**CONFIG.__dict__, "dtype": "float64"})).stage
    state = stage.init(stage.seeds).state
    one = jax.tree.map(lambda leaf: leaf[0], state)
    flat, unflat = ravel_pytree(one.alphas)
    rows, constants = stage.valid_batches
    batch = stage.pure.evaluation_batch(jax.tree.map(lambda leaf: leaf[0], rows), constants)

    def loss(flat):
        mix = stage.method.relax(unflat(flat), jax.random.key(0), Clock(0, 0, 1))
        logits, _ = stage.network.apply(one.weights, one.stats, batch.inputs, mix, train=True)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), batch.targets[:, None], 1)[:, 0]
        return -(chosen * batch.weights).sum() / batch.weights.sum() + 0.005 * (flat**2).sum()

    dense = np.asarray(jax.jit(jax.hessian(loss))(flat))
    assert curvature.inapplicable(stage) == ""
    assert curvature.curvature(stage, state, 0) == pytest.approx(np.linalg.eigvalsh(dense)[-1], rel=1e-9)
