"""The gradient filter of OLES, step by step against NumPy; and that any filter acts, or is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas import data as datasets
from dnas import find
from dnas.config import AlphaConfig, AugmentConfig, Config, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.nets.functional import Functional
from dnas.search import hypergrad, penalty, perturb, relax, stage
from dnas.search.bilevel import make_search
from dnas.search.gradient_filter import RULES, freeze_disagreeing, mean_cosine, whole_cosine
from dnas.search.job import Job
from dnas.search.levels import Levels
from dnas.search.method import Method, Phase
from dnas.search.plan import check_phases
from dnas.tasks.classification import Classification
from dnas.tasks.images import Images
from dnas.training.epoch import SHORT, train_batches
from dnas.training.weights import clip, optimiser_of
from dnas.types import Batch, Clock, GradientFilter

CLOCK = Clock(0, 0, 1)
CELLS, EDGES = 2, 3


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def gradient(rng):
    def operation(*shape):
        return {
            "operation": {"conv": rng.normal(size=(CELLS, EDGES, *shape)), "norm": rng.normal(size=(CELLS, EDGES, 3))}
        }

    return {
        "stage": {
            "core": {"candidates": {0: operation(3, 2), 4: operation(5)}},
            "older": {"kernel": rng.normal(size=4)},
        },
        "stem": rng.normal(size=3),
    }


def vectors(tree, number):
    """[cells, edges, N] of one operation."""
    operation = tree["stage"]["core"]["candidates"][number]["operation"]
    return np.concatenate([leaf.reshape(CELLS, EDGES, -1) for leaf in (operation["conv"], operation["norm"])], -1)


def cos(a, b):
    with np.errstate(invalid="ignore"):  # a stopped operation has none
        return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def along_channels(tree, previous, number):
    """[cells, edges]: what the reference code averages, parameter by parameter."""
    means = []
    for name in ("conv", "norm"):
        v, t = (g["stage"]["core"]["candidates"][number]["operation"][name] for g in (tree, previous))
        means.append(cos(v + t, t).reshape(CELLS, EDGES, -1).mean(-1))
    return np.mean(means, 0)


def clipped(tree, norm):
    total = np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(tree)))
    return jax.tree.map(lambda leaf: leaf * min(1, norm / (total + 1e-6)), tree)


@pytest.mark.parametrize("rule, threshold, terms", [("paper", -0.1, 3), ("code", 0.6, 4)])
def test_freezes_what_disagrees_on_average_over_a_window_and_for_good(rule, threshold, terms):
    rng, window, norm = np.random.default_rng(0), 3, 4.0
    own = freeze_disagreeing(threshold, window, rule, clip(norm))
    memory, apply = own.init(gradient(rng)), jax.jit(own.apply)
    previous, seen, frozen = None, [], np.zeros((2, CELLS, EDGES), bool)
    history = []
    for step in range(18):
        of_alphas, g = step % 2 == 0, gradient(rng)
        memory, filtered = apply(memory, g, of_alphas, CLOCK)
        if of_alphas and previous is not None:
            if rule == "paper":
                seen.append([cos(vectors(g, n), vectors(previous, n)) for n in (0, 4)])
            else:
                seen.append([along_channels(g, previous, n) for n in (0, 4)])
            seen[-1] = np.where(frozen, 0, seen[-1])
            if len(seen) == terms:
                frozen |= np.sum(seen, 0) / window < threshold
                seen = []
        for i, number in enumerate((0, 4)):
            expected = np.where(frozen[i][..., None], 0, vectors(g, number))
            np.testing.assert_allclose(vectors(filtered, number), expected, rtol=1e-12)
        if not of_alphas:
            previous = clipped(filtered, norm)
        np.testing.assert_array_equal(filtered["stem"], g["stem"])
        np.testing.assert_array_equal(filtered["stage"]["older"]["kernel"], g["stage"]["older"]["kernel"])
        history.append(int(frozen.sum()))
    first = 2 * terms
    assert history[:first] == [0] * first and 0 < history[first] < history[-1] < 2 * CELLS * EDGES


def test_the_cosines_of_the_reference_code():
    """PyTorch: `cosine_similarity(grad, previous, dim=0).mean()` of a depthwise [3, 1, 3, 3] and a pointwise
    [4, 3, 1, 1] kernel, where `grad` was not cleared between the training and the validation pass, and the training
    gradient was clipped to a norm of 5 together with a vector [5]."""
    theirs = [0.5490921290671025, 0.5731145554793133, 0.5489389776559465, 0.5866347275671251, 0.6392696606867587]
    rng, shapes, ours, previous = np.random.default_rng(7), ((3, 1, 3, 3), (4, 3, 1, 1)), [], None

    def draw():
        kernels = [rng.normal(size=shape) for shape in shapes]
        return {"depthwise": kernels[0], "pointwise": kernels[1], "rest": rng.normal(size=5)}

    def placed(g):
        depthwise, pointwise = g["depthwise"][:, 0].transpose(1, 2, 0), g["pointwise"][:, :, 0, 0].T
        return {"depthwise": depthwise[None, None], "pointwise": pointwise[None, None]}

    for _ in range(6):
        valid, train = draw(), draw()
        if previous is not None:
            ours.append(float(mean_cosine(placed(valid), placed(previous))[0, 0]))
        previous = clipped(train, 5.0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_equal_gradients_agree_and_opposite_ones_do_not():
    g = vectors(gradient(np.random.default_rng(1)), 0)
    np.testing.assert_allclose(whole_cosine({"a": g}, {"a": 3 * g}), np.ones((CELLS, EDGES)), rtol=1e-12)
    np.testing.assert_allclose(whole_cosine({"a": g}, {"a": -g}), -np.ones((CELLS, EDGES)), rtol=1e-12)
    np.testing.assert_array_equal(whole_cosine({"a": g}, {"a": 0 * g}), 0)


def test_opposite_gradients_of_validation_agree_with_the_code_as_long_as_training_is_stronger():
    g = {"a": vectors(gradient(np.random.default_rng(1)), 0)}
    weak = jax.tree.map(lambda leaf: -leaf / 2, g)
    np.testing.assert_allclose(mean_cosine(weak, g), np.ones((CELLS, EDGES)), rtol=1e-12)
    np.testing.assert_allclose(whole_cosine(weak, g), -np.ones((CELLS, EDGES)), rtol=1e-12)


def test_settings_are_checked():
    for setting in ("threshold=2.0", "window=0", "rule=both"):
        with pytest.raises(UserError, match=setting.partition("=")[0]):
            find.resolve("method", f"oles:{setting}")
    assert set(RULES) == {"paper", "code"}


# Wherever it is built in, it acts: the filtered gradient is what steps the weights.

SPACE = find.resolve("space", "nasbench201:nodes=2,operations=none+skip_connect+nor_conv_1x1")
PLAIN = SearchConfig(epochs=2, weights=WeightConfig(clip=0.0), alphas=AlphaConfig(learning_rate=0.1))
OWN = hypergrad.Estimator(lambda *args: hypergrad.first_order(*args), ("outer",))
ESTIMATORS = {
    "first": hypergrad.first_order,
    "own": OWN,
    "undeclared": hypergrad.Estimator(hypergrad.first_order.estimate),
    "second": hypergrad.unrolled,
    "finite_difference": hypergrad.finite_difference(),
    "neumann": hypergrad.neumann(1),
    "none": None,
}
MIXES = {
    "one_mix": {},
    "perturbed": {"perturb": perturb.random(perturb.growing(0.1, 0.2))},
    "two_mixes": {"weight_relax": relax.softmax},
}
HALF = GradientFilter(  # remembers how often it saw the inner and the outer gradient, and makes the inner one 1/2
    lambda weights: jnp.zeros(2, jnp.int32),
    lambda memory, gradient, outer, clock: (
        memory.at[jnp.where(outer, 1, 0)].add(1),
        jax.tree.map(lambda g: jnp.where(outer, g, 0.5), gradient),
    ),
)


def formula():
    """A network that is a matrix for every operation, the sum of them, and a number of its own that nobody reads."""

    def init(key):
        return {"matrices": jax.random.normal(key, (3, 3, 3)), "own": jnp.ones(2)}, {}

    def apply(weights, stats, x, mix, *, train, **_):
        return jnp.einsum("eo,oij,bi->bj", mix["cell"], weights["matrices"], x.mean((1, 2))), {}

    return Functional(init, apply)


def step(method, config):
    """The search, and its states before and after a step."""
    search = make_search(formula(), SPACE, method, config, 1, task=Classification())
    batch = Batch(jnp.asarray(np.random.default_rng(0).normal(size=(4, 2, 2, 3))), jnp.arange(4) % 3)
    before = search.init(jax.random.key(0))
    return before, jax.jit(search.step)(before, Levels(batch, batch))[0]


def assert_acts(method, config, seen=(1, 1)):
    before, after = step(method, config)
    np.testing.assert_array_equal(after.memory, np.broadcast_to(seen, after.memory.shape))
    weights = config.weights
    tx = optimiser_of(weights).make(lambda _: weights.learning_rate, weights.decay)
    halves = jax.tree.map(lambda w: jnp.full_like(w, 0.5), before.weights)
    updates, _ = tx.update(halves, before.weight_opt, before.weights)
    expected = optax.apply_updates(before.weights, updates)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), after.weights, expected)
    assert np.abs(expected["own"] - before.weights["own"]).min() > 1e-6


@pytest.mark.parametrize("inner_steps", [1, 2])
@pytest.mark.parametrize("levels", ["bilevel", "single"])
@pytest.mark.parametrize("mixes", MIXES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_it_acts_or_is_refused(estimator, mixes, levels, inner_steps):
    method = Method(gradient_filter=HALF, hypergrad=ESTIMATORS[estimator], **MIXES[mixes])
    config = replace(PLAIN, levels=levels, inner_steps=inner_steps)
    if (mixes, levels, inner_steps) == ("one_mix", "bilevel", 1) and estimator in ("first", "own"):
        assert_acts(method, config)
    else:
        with pytest.raises(UserError, match="both levels|two levels"):
            make_search(formula(), SPACE, method, config, 1, task=Classification())


@pytest.mark.parametrize("optimiser", find.available("optimiser"))
def test_it_acts_under_every_optimiser(optimiser):
    assert_acts(Method(gradient_filter=HALF), replace(PLAIN, weights=replace(PLAIN.weights, optimiser=optimiser)))


def test_it_acts_in_any_order_in_long_searches_and_in_the_warm_up():
    method = Method(gradient_filter=HALF, penalty=penalty.beta_decay(1.0))
    constant = replace(PLAIN.weights, schedule="constant")
    assert_acts(method, replace(PLAIN, order="weights_first", epochs=2 * SHORT, weights=constant))
    assert_acts(method, replace(PLAIN, alphas=replace(PLAIN.alphas, warmup_epochs=1)), seen=(1, 0))


def test_it_acts_on_every_member_of_an_ensemble():
    seen = []

    def init(weights):
        seen.append(jax.tree.map(jnp.shape, weights))
        return HALF.init(weights)

    assert_acts(replace(find.resolve("method", "agreement:members=2"), gradient_filter=HALF._replace(init=init)), PLAIN)
    assert seen[0] == {"matrices": (3, 3, 3), "own": (2,)}


def test_batches_of_two_shapes_are_refused_before_the_first_step(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), np.uint8)
    splits = datasets.split(datasets.from_arrays("noise", images, np.arange(24) % 3), 0.5, 0)
    search = replace(PLAIN, batch_size=4, cells=1, channels=2, augment=AugmentConfig(pad=1))
    config = Config(space="nasbench201:nodes=2,operations=none+nor_conv_1x1", method="oles", search=search)
    task = Images(splits=splits, recipe=search.augment, dtype="float32")
    given = iter([slice(4), slice(3)])

    def uneven(*args):
        batch, rows = train_batches(*args), next(given)
        return lambda number, key: jax.tree.map(lambda leaf: leaf[rows], batch(number, key))

    monkeypatch.setattr(stage, "train_batches", uneven)
    with pytest.raises(UserError, match="one shape"):
        Job(config, find.resolve("space", config.space), find.resolve("method", "oles"), task, quiet=True)


def test_an_ensemble_is_not_pruned_and_does_not_go_on_in_another_phase():
    ensemble = find.resolve("method", "agreement:members=2")
    with pytest.raises(UserError, match="cannot be combined with an ensemble"):
        make_search(formula(), SPACE, replace(ensemble, masks=True), PLAIN, 1, task=Classification())
    for second in (Phase(PLAIN, keep=1, restart=True), Phase(PLAIN)):
        with pytest.raises(UserError, match="Phase 2 of 'agreement' prunes"):
            check_phases(Config(method="agreement"), SPACE, SPACE, (Phase(PLAIN), second), lambda *_: ensemble, None)
