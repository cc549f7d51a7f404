"""One bilevel step: order, optimisers, schedules, the shared gradient program, seeds."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas import find
from dnas.architectures.topology import NetworkSize
from dnas.config import AlphaConfig, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.methods import agreement
from dnas.nets.functional import Functional, functionalize
from dnas.nets.supernet import Supernet
from dnas.runs.devices import Layout
from dnas.search import hypergrad, penalty, relax
from dnas.search.bilevel import make_search
from dnas.search.levels import Levels, Span
from dnas.search.method import Method, adam_with_l2
from dnas.spaces import nasbench201
from dnas.tasks.classification import Classification, cross_entropy
from dnas.training.epoch import SHORT
from dnas.training.weights import clip
from dnas.types import Batch

SPACE = nasbench201.space(nodes=2)
NETWORK = functionalize(lambda rngs: Supernet(SPACE, NetworkSize(1, 2, 3), rngs=rngs))
CONFIG = SearchConfig(epochs=2, alphas=AlphaConfig(learning_rate=0.03))


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def batches(count):
    rng = np.random.default_rng(0)

    def batch():
        return Batch(jnp.asarray(rng.normal(size=(6, 4, 4, 3))), jnp.asarray(rng.integers(0, 3, 6)))

    return [Levels(batch(), batch()) for _ in range(count)]


FIRST_ORDER = Method()


def trained(method=FIRST_ORDER, config=CONFIG, steps=3, seed=0, network=NETWORK):
    search = make_search(network, SPACE, method, config, 2, task=Classification())
    state, step, rows = search.init(jax.random.key(seed)), jax.jit(search.step), []
    for levels in batches(steps):
        state, metrics = step(state, levels)
        rows.append(jax.tree.map(float, metrics))
    return state, rows


def assert_close(a, b, tolerance=1e-10):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=1e-14), a, b)


def apart(estimate):
    """The same estimator, which declares no turns: takes the general path."""
    return hypergrad.Estimator(estimate.estimate)


def noisy(alphas, key, clock):
    return jax.tree.map(lambda a: jax.nn.softmax(a + jax.random.normal(key, a.shape)), alphas)


@pytest.mark.slow
@pytest.mark.parametrize("warmup_epochs", [0, 1])
@pytest.mark.parametrize("order", ["alphas_first", "weights_first"])
@pytest.mark.parametrize("estimate", [hypergrad.first_order, hypergrad.unrolled])
def test_one_gradient_program_is_several(estimate, order, warmup_epochs):
    config = replace(CONFIG, order=order, alphas=replace(CONFIG.alphas, warmup_epochs=warmup_epochs))
    shared, rows = trained(Method(hypergrad=estimate, relax=noisy), config)
    separate, expected = trained(Method(hypergrad=apart(estimate), relax=noisy), config)
    assert_close(shared._replace(key=0), separate._replace(key=0))
    assert_close(rows, expected)


@pytest.mark.parametrize("estimate", [hypergrad.first_order, hypergrad.unrolled])
def test_one_gradient_program_minimises_what_several_do(estimate):
    """With all that a method makes of the outer loss; of a network that is one matrix for every operation."""

    def apply(weights, stats, x, mix, *, train, **_):
        return jnp.tanh(jnp.einsum("eo,oij,bi->bj", mix["cell"], weights, x.mean((1, 2)))), {}

    def factor(alphas, mix, clock):
        return 1 + jnp.log1p(mix["cell"][:, 0].sum())

    shape = (SPACE.mix_shapes["cell"][1], 3, 3)
    network = Functional(lambda key: (jax.random.normal(key, shape), {}), apply)
    method = Method(hypergrad=estimate, relax=noisy, penalty=penalty.beta_decay(1.0), factor=factor)
    shared, rows = trained(method, network=network)
    separate, expected = trained(replace(method, hypergrad=apart(estimate)), network=network)
    assert_close(shared._replace(key=0), separate._replace(key=0))
    assert_close(rows, expected)


def program(method, config=CONFIG):
    search = make_search(NETWORK, SPACE, method, config, 2, task=Classification())
    (levels,) = batches(1)
    return str(jax.make_jaxpr(search.step)(jax.eval_shape(search.init, jax.random.key(0)), levels))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [hypergrad.first_order, hypergrad.unrolled])
def test_an_estimator_is_what_it_declares_not_which_one_it_is(estimator):
    own = hypergrad.Estimator(lambda *args: estimator(*args), estimator.turns, estimator.implicit)
    assert program(Method(hypergrad=own)) == program(Method(hypergrad=estimator))
    assert program(Method(hypergrad=own)) != program(Method(hypergrad=apart(estimator)))
    single = replace(CONFIG, levels="single")
    if own.is_outer_gradient:
        assert program(Method(hypergrad=own), single) == program(Method(), single)
    else:
        with pytest.raises(UserError, match="two levels"):
            program(Method(hypergrad=own), single)


@pytest.mark.slow
def test_a_long_search_has_a_program_for_each_level():
    """Of the same numbers; only then the alphas' gradient comes without that of the weights."""
    config = replace(CONFIG, weights=replace(CONFIG.weights, schedule="constant"))
    results = [trained(Method(relax=noisy), replace(config, epochs=epochs)) for epochs in (1, SHORT)]
    assert_close(*[(state._replace(key=0), rows) for state, rows in results])

    def loops(epochs):
        search = make_search(NETWORK, SPACE, Method(), replace(config, epochs=epochs), 2, task=Classification())
        (levels,) = batches(1)
        return str(jax.make_jaxpr(search.step)(search.init(jax.random.key(0)), levels)).count("length=2")

    assert loops(1) > loops(SHORT)


@pytest.mark.slow
def test_the_order_of_the_levels_matters():
    a, _ = trained(config=CONFIG, steps=2)
    b, _ = trained(config=replace(CONFIG, order="weights_first"), steps=2)
    assert np.abs(a.alphas["cell"] - b.alphas["cell"]).max() > 1e-6


GOLDEN = {
    "train": [1.130952561425997, 1.063805364861363, 1.1366052555553365],
    "valid": [1.2014953566248936, 1.224972988912812, 1.140592706881836],
}


def test_golden_metrics_after_three_steps():
    _, rows = trained(Method(hypergrad=hypergrad.unrolled))
    found = {name: [getattr(row, name)["loss"][0] for row in rows] for name in GOLDEN}
    for name, values in GOLDEN.items():
        np.testing.assert_allclose(
            found[name],
            values,
            rtol=1e-6,
            err_msg=f"A change moved the numbers of a search. If it was meant to, set GOLDEN = {found} and say why in "
            "CHANGELOG.md; if not, it is a bug.",
        )


def test_alphas_stand_still_in_the_warm_up():
    config = replace(CONFIG, alphas=replace(CONFIG.alphas, warmup_epochs=1))
    start = make_search(NETWORK, SPACE, Method(), config, 2, task=Classification()).init(jax.random.key(0))
    after_two, _ = trained(config=config, steps=2)  # one epoch is two steps
    after_three, _ = trained(config=config, steps=3)
    assert_close(after_two.alphas, start.alphas)
    assert np.abs(after_three.alphas["cell"] - start.alphas["cell"]).max() > 1e-3
    assert np.abs(flat(after_two.weights) - flat(start.weights)).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("order", ["alphas_first", "weights_first"])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "apart"])
@pytest.mark.parametrize(
    ("estimate", "turns"), [(hypergrad.first_order, 2), pytest.param(hypergrad.unrolled, 4, marks=pytest.mark.slow)]
)
def test_the_warm_up_computes_no_level_of_the_alphas(estimate, turns, shared, order):
    """Validation images that would poison whatever reads them, and a count of forward passes."""
    forwards = []

    def counted(alphas, key, clock):
        jax.debug.callback(lambda: forwards.append(1))
        return relax.softmax(alphas, key, clock)

    config = replace(CONFIG, order=order, alphas=replace(CONFIG.alphas, warmup_epochs=1))
    method = Method(relax=counted, hypergrad=estimate if shared else apart(estimate))
    search = make_search(NETWORK, SPACE, method, config, 1, task=Classification())  # an epoch is one step
    start, (levels,) = search.init(jax.random.key(0)), batches(1)
    poisoned = levels._replace(valid=levels.valid._replace(inputs=jnp.full_like(levels.valid.inputs, jnp.nan)))
    step = jax.jit(search.step)
    state, metrics = step(start, poisoned)
    jax.effects_barrier()
    assert len(forwards) == 1
    assert_close((state.alphas, state.alpha_opt), (start.alphas, start.alpha_opt), 0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.weights, state.stats, metrics)))
    assert not np.any(jax.tree.leaves(metrics.valid))
    state, metrics = step(state, levels)
    jax.effects_barrier()
    assert len(forwards) == 1 + turns and metrics.valid["loss"][0] > 0
    assert np.abs(state.alphas["cell"] - start.alphas["cell"]).min() > 1e-3


@pytest.mark.slow
def test_the_learning_rate_follows_the_step_of_the_search():
    """Not the number of updates: a later phase begins its schedule anew, inner steps share one rate."""
    (levels,) = batches(1)
    plain = WeightConfig(optimiser="sgd:momentum=0", decay=0.0, clip=0.0)
    config = replace(CONFIG, epochs=3, weights=plain)
    still = Method(hypergrad=None)

    def stepped(config, span, state, levels):
        search = make_search(NETWORK, SPACE, still, config, 1, span, task=Classification())
        return jax.jit(search.step)(state, levels)[0].weights

    start = make_search(NETWORK, SPACE, still, config, 1, task=Classification()).init(jax.random.key(0))
    late = start._replace(step=jnp.int32(6))
    first = stepped(config, Span(), start, levels)
    assert_close(stepped(config, Span(start=6, epoch=6, schedule_start=6), late, levels), first)
    rates = []
    for span, state in ((Span(), start), (Span(start=6, epoch=6, schedule_epochs=12), late)):
        new = flat(stepped(config, span, state, levels)) - flat(start.weights)
        rates.append(np.linalg.norm(new))
    np.testing.assert_allclose(rates[1] / rates[0], 0.013 / 0.025, rtol=1e-6)  # half of the cosine is done

    twice = levels._replace(train=jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), levels.train))
    one = start._replace(step=jnp.int32(1))
    middle = one._replace(weights=stepped(config, Span(), one, levels))
    expected = stepped(config, Span(), middle, levels)
    assert_close(stepped(replace(config, inner_steps=2), Span(), one, twice), expected, 1e-6)


@pytest.mark.slow
def test_four_seeds_are_four_runs():
    search = make_search(NETWORK, SPACE, Method(), CONFIG, 2, task=Classification())
    levels = batches(1)[0]
    keys = jnp.stack([jax.random.key(i) for i in range(4)])

    def one(key):
        return search.step(search.init(key), levels)[0]._replace(key=0)

    singles = [jax.jit(one)(key) for key in keys]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *singles)
    assert_close(jax.jit(Layout(4).over_seeds(one))(keys), stacked)
    assert_close(jax.jit(jax.vmap(one))(keys), stacked)


@pytest.mark.slow
def test_jit_is_no_jit():
    search = make_search(NETWORK, SPACE, Method(), CONFIG, 2, task=Classification())
    state, levels = search.init(jax.random.key(0)), batches(1)[0]
    with jax.disable_jit():
        plain = search.step(state, levels)
    jitted = jax.jit(search.step)(state, levels)
    assert_close(plain[0]._replace(key=0), jitted[0]._replace(key=0))
    assert_close(plain[1], jitted[1])


def test_weights_follow_the_optimiser_and_the_schedule_of_the_config():
    """Every step of Lion is as long as the learning rate, or none."""
    weights = WeightConfig(learning_rate=0.1, optimiser="lion", schedule="step:milestones=1", decay=0.0)
    config = replace(CONFIG, weights=weights)
    search = make_search(NETWORK, SPACE, Method(hypergrad=None), config, 1, task=Classification())
    step, state, (levels,) = jax.jit(search.step), search.init(jax.random.key(0)), batches(1)
    for rate in (0.1, 0.01):
        before, (state, _) = flat(state.weights), step(state, levels)
        lengths = np.abs(flat(state.weights) - before)
        np.testing.assert_allclose(lengths[lengths > 0], rate, rtol=1e-9)
        assert np.count_nonzero(lengths) > 5


def test_alphas_follow_pytorch_adam():
    """L2 in the gradient, eps outside the bias-corrected root."""
    config = AlphaConfig(learning_rate=0.03, decay=0.1)
    tx = adam_with_l2(config)
    a = ours = jnp.array([0.5, -1.0])
    state, m, v = tx.init(a), 0.0, 0.0
    for t, g in enumerate((jnp.array([0.3, 1e-9]), jnp.array([-0.2, 0.5])), 1):
        updates, state = tx.update(g, state, ours)
        ours = optax.apply_updates(ours, updates)
        d = g + 0.1 * a
        m, v = 0.5 * m + 0.5 * d, 0.999 * v + 0.001 * d**2
        a = a - 0.03 * (m / (1 - 0.5**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(ours, a, rtol=1e-12)


def test_clipping_has_pytorchs_epsilon():
    g = {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    clipped, _ = clip(1.0).update(g, clip(1.0).init(g))
    np.testing.assert_allclose(clipped["a"], 3.0 / (5.0 + 1e-6), rtol=1e-14)
    untouched, _ = clip(6.0).update(g, clip(6.0).init(g))
    np.testing.assert_array_equal(untouched["b"], g["b"])


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.mark.slow
def test_a_single_level_steps_both_by_one_loss():
    config = replace(CONFIG, levels="single")
    state, rows = trained(config=config, steps=1)
    search = make_search(NETWORK, SPACE, Method(), config, 2, task=Classification())
    before, batch = search.init(jax.random.key(0)), batches(1)[0].train

    def loss(weights, alphas):
        mix = jax.tree.map(jax.nn.softmax, alphas)
        return cross_entropy(NETWORK.apply(weights, before.stats, batch.inputs, mix, train=True)[0], batch.targets)

    value, (to_weights, to_alphas) = jax.value_and_grad(loss, (0, 1))(before.weights, before.alphas)
    clipped, _ = clip(5.0).update(to_weights, None)
    expected = jax.tree.map(lambda w, g: w - 0.025 * (g + 3e-4 * w), before.weights, clipped)
    assert_close(state.weights, expected, 1e-6)
    updates, _ = adam_with_l2(config.alphas).update(
        to_alphas, adam_with_l2(config.alphas).init(before.alphas), before.alphas
    )
    assert_close(state.alphas, optax.apply_updates(before.alphas, updates), 1e-6)
    assert rows[0].train["loss"][0] == rows[0].valid["loss"][0] == pytest.approx(float(value))


@pytest.mark.slow
def test_inner_steps_are_that_many_steps_of_the_weights():
    config = replace(CONFIG, order="weights_first", alphas=replace(CONFIG.alphas, learning_rate=0.0))
    first, second = batches(2)
    several = make_search(NETWORK, SPACE, Method(), replace(config, inner_steps=2), 1, task=Classification())
    both = Levels(jax.tree.map(lambda *leaves: jnp.stack(leaves), first.train, second.train), first.valid)
    state = several.step(several.init(jax.random.key(0)), both)[0]
    single = make_search(NETWORK, SPACE, Method(hypergrad=None), config, 2, task=Classification())
    expected = single.init(jax.random.key(0))
    for levels in (first, second):
        expected = single.step(expected, levels)[0]
    assert int(state.step) == 1
    assert_close(state.weights, expected.weights, 1e-9)


def test_what_cannot_be_combined_is_refused():
    for method, config, says in (
        (Method(hypergrad=None), replace(CONFIG, levels="single"), "two levels"),
        (Method(), replace(CONFIG, levels="single", inner_steps=2), "inner_steps must be 1"),
        (Method(hypergrad=apart(hypergrad.first_order)), replace(CONFIG, levels="single"), "two levels"),
        (Method(hypergrad=None, penalty=penalty.beta_decay(1.0)), CONFIG, "no derivative"),
        (Method(hypergrad=hypergrad.reinforce(None), penalty=penalty.beta_decay(1.0)), CONFIG, "no derivative"),
    ):
        with pytest.raises(UserError, match=says):
            make_search(NETWORK, SPACE, method, config, 2, task=Classification())


@pytest.mark.slow
def test_members_share_alphas_and_nothing_else():
    method = find.resolve("method", "agreement:members=2,rule=mean")
    search = make_search(NETWORK, SPACE, method, CONFIG, 2, task=Classification())
    state = before = search.init(jax.random.key(0))
    levels = batches(1)[0]
    state, _ = jax.jit(search.step)(state, levels)
    (tied,) = jax.tree.leaves(state.alphas)
    np.testing.assert_array_equal(tied[0], tied[1])
    leaf = next(leaf for leaf in jax.tree.leaves(state.weights) if leaf.ndim > 2)
    assert np.abs(leaf[0] - leaf[1]).max() > 1e-3

    def gradient(i):
        weights, stats = jax.tree.map(lambda leaf: leaf[i], (before.weights, before.stats))

        def loss(alphas):
            mix = jax.tree.map(jax.nn.softmax, alphas)
            return cross_entropy(
                NETWORK.apply(weights, stats, levels.valid.inputs, mix, train=True)[0], levels.valid.targets
            )

        return jax.grad(loss)(jax.tree.map(lambda leaf: leaf[i], before.alphas))["cell"]

    mean = (gradient(0) + gradient(1)) / 2
    adam = optax.tree_utils.tree_get(state.alpha_opt, "mu")["cell"][0]
    np.testing.assert_allclose(adam, 0.5 * (mean + 1e-3 * before.alphas["cell"][0]), rtol=1e-7)


@pytest.mark.slow
def test_each_member_is_clipped_by_its_own_norm():
    method = find.resolve("method", "agreement:members=2")
    config = replace(CONFIG, weights=replace(CONFIG.weights, clip=1e-3, decay=0.0))
    search = make_search(NETWORK, SPACE, method, config, 2, task=Classification())
    before = search.init(jax.random.key(0))
    after, _ = jax.jit(search.step)(before, batches(1)[0])
    for i in range(2):
        change = jax.tree.map(lambda a, b, i=i: a[i] - b[i], after.weights, before.weights)
        assert np.linalg.norm(flat(change)) == pytest.approx(config.weights.learning_rate * 1e-3)


@pytest.mark.slow
def test_frozen_schedules_stand_at_their_end():
    seen = []

    def look(alphas, key, clock):
        jax.debug.callback(lambda epoch: seen.append(int(epoch)), clock.epoch)
        return relax.softmax(alphas, key, clock)

    for frozen_at, now, after in ((0, 0, 0), (50, 49, 50)):
        search = make_search(
            NETWORK,
            SPACE,
            Method(relax=look),
            replace(CONFIG, epochs=9),
            2,
            Span(frozen_at=frozen_at),
            task=Classification(),
        )
        state = search.init(jax.random.key(0))
        for compute, expected in (
            (partial(search.step, state, batches(1)[0]), now),
            (partial(search.mix, state), after),
        ):
            jax.block_until_ready(jax.jit(compute)())
            jax.effects_barrier()
            assert set(seen) == {expected}
            seen.clear()


def test_agreement_stands_still_where_the_members_disagree():
    rule = agreement.RULES["shrink"]
    assert rule(0.5, 0.0) == pytest.approx(0.5)
    assert rule(0.5, 0.25) == pytest.approx(0.25)  # the mean is as large as its error
    assert abs(rule(0.01, 1.0)) < 1e-5
