"""What holds for every method: it enumerates what exists, so a new file is tested without an edit here."""

import inspect
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.genotype import check
from dnas.architectures.topology import NetworkSize
from dnas.config import AlphaConfig, Config, SearchConfig
from dnas.nets.functional import Functional, functionalize
from dnas.nets.supernet import Supernet
from dnas.ranges import range_of
from dnas.runs import records
from dnas.search.bilevel import make_search
from dnas.search.levels import Levels
from dnas.search.method import Method
from dnas.tasks.classification import Classification
from dnas.types import Batch

METHODS = find.available("method")
KEPT = {  # by default more operations than an edge has here, or more epochs
    "drnas": "drnas:keep=2",
    "p_darts": "p_darts:keep=2+1",
    "sgas": "sgas:begin=0,every=1",
}
FITTING = [KEPT.get(name, name) for name in METHODS]
VARIANTS = [
    "darts:order=second",
    "darts:order=finite_difference",
    "darts:order=rnn_reference",
    "drnas:partial=1,distance=kl",
    "gaea:partial=4",
    "gaea:geometry=euclidean",
    "gdas:unselected=ignored",
    "gdas:unselected=computed",
    "idarts:solver=cg",
    "fair_darts:distance=l1,rule=darts",
    "sdarts:attack=random",
    "darts_minus:schedule=cosine",
    "darts_pt:on=fair_darts",
    "robust_darts:adaptive=true",
]
QUICK = ("darts", "gdas", "pc_darts", "spos")  # the others, too, compile a search each, in the slow tests
CHOICES = [
    choice if choice in QUICK else pytest.param(choice, marks=pytest.mark.slow) for choice in (*FITTING, *VARIANTS)
]
DEFAULTS = CHOICES[: len(FITTING)]
SPACE = find.resolve("space", "nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1")
STEPS = 3
CONFIG = SearchConfig(epochs=3, batch_size=4, cells=1, alphas=AlphaConfig(learning_rate=0.1))


@cache
def network(choice):
    """Of the first phase."""
    method = find.resolve("method", choice)
    supernet = method.phases(SPACE, CONFIG)[0].supernet(method.supernet(SPACE))
    size = NetworkSize(1, 2 * supernet.partial_channels, 3)
    return functionalize(lambda rngs: Supernet(supernet, size, rngs=rngs))


def levels(seed):
    def batch(key):
        image_key, label_key = jax.random.split(key)
        return Batch(jax.random.normal(image_key, (4, 4, 4, 3)), jax.random.randint(label_key, (4,), 0, 3))

    train_key, valid_key = jax.random.split(jax.random.key(seed))
    return Levels(batch(train_key), batch(valid_key))


def prepared(choice):
    method = find.resolve("method", choice)
    return make_search(network(choice), SPACE, method, CONFIG, STEPS, task=Classification()), method


@cache
def searched(choice):
    """The search, its states before and after three steps, and what these said."""
    search, _ = prepared(choice)
    start = state = jax.jit(search.init)(jax.random.key(0))
    step, seen = jax.jit(search.step), []
    for number in range(STEPS):
        state, metrics = step(state, levels(number))
        seen.append(metrics)
    return search, start, state, seen


def test_the_methods_are_found():
    assert {"darts", "gdas", "idarts"} <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_is_a_value_with_simple_keyword_settings_and_a_source(name):
    assert isinstance(METHODS[name](), Method)
    parameters = inspect.signature(METHODS[name]).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY and isinstance(p.default, (str, int, float, bool)) for p in parameters)
    doc = inspect.getmodule(METHODS[name]).__doc__
    assert "arXiv:" in doc or "OpenReview " in doc, "say which paper"


@pytest.mark.parametrize("choice", CHOICES)
def test_three_steps(choice):
    search, start, state, seen = searched(choice)
    method = find.resolve("method", choice)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.weights, state.stats, state.alphas, seen)))
    assert int(state.step) == STEPS
    for a, b in zip(*map(jax.tree.leaves, (state.alphas, start.alphas)), strict=True):
        assert (np.abs(a - b).max() > 0) == (method.hypergrad is not None)
    moved = [
        np.abs(a - b).max() > 0 for a, b in zip(*map(jax.tree.leaves, (state.weights, start.weights)), strict=True)
    ]
    assert np.mean(moved) > 0.9

    mix = jax.jit(search.mix)(state)
    shapes = method.supernet(SPACE).mix_shapes
    assert {kind: m.shape for kind, m in mix.items()} == shapes
    evaluated = []

    def evaluate(mix, **options):
        evaluated.append(mix)
        return 0.5

    mix = jax.tree.map(np.asarray, mix)
    genotypes = [method.discretise(SPACE, mix, evaluate)]
    if method.select and method.masks:  # reads what its looks between epochs left; others try many, see below
        genotypes.append(method.select(SPACE, mix, evaluate, 0))
    for genotype in genotypes:
        check(genotype, SPACE)
    assert all({kind: m.shape for kind, m in seen.items()} == SPACE.mix_shapes for seen in evaluated)


@cache
def formula(choice):
    """A search whose network is a formula with a supernet's arguments, so that without jit a step takes a moment; and
    its jitted start and step."""
    method = find.resolve("method", choice)
    shapes = method.phases(SPACE, CONFIG)[0].supernet(method.supernet(SPACE)).mix_shapes
    ((kind, (edges, operations)),) = shapes.items()

    def init(key):
        kernels = jax.random.normal(key, (operations, 1, edges, 3, 3))
        weights = {kind: {"candidates": {str(o): {"kernel": kernels[o]} for o in range(operations)}}}
        return weights, {"mean": jnp.zeros(3)}

    def apply(weights, stats, x, mix, *, train, **_):
        pooled = x.mean((1, 2))
        moments = {"mean": pooled.mean(0)}
        pooled -= (moments if train else stats)["mean"]
        kernels = jnp.stack([weights[kind]["candidates"][str(o)]["kernel"][0] for o in range(operations)])
        table = mix[kind] if mix[kind].ndim == 2 else jnp.tensordot(jnp.arange(1.0, 4), mix[kind], 1)  # of every cell
        return jnp.einsum("eo,oebd->bd", table, jnp.tanh(jnp.einsum("bc,oecd->oebd", pooled, kernels))), moments

    search = make_search(Functional(init, apply), SPACE, method, CONFIG, STEPS, task=Classification())
    return search, jax.jit(search.init), jax.jit(search.step)


def formula_searched(step, state, begin=0):
    for number in range(begin, STEPS):
        state, metrics = step(state, levels(number))
    return state._replace(key=jax.random.key_data(state.key)), metrics


@pytest.mark.slow
@pytest.mark.parametrize("choice", QUICK)
def test_seeds_in_one_program_are_single_searches(choice):
    search, _, single, _ = searched(choice)
    keys = jnp.stack([jax.random.key(seed) for seed in (0, 1)])
    both, step = jax.jit(jax.vmap(search.init))(keys), jax.jit(jax.vmap(search.step, (0, None)))
    for number in range(STEPS):
        both, _ = step(both, levels(number))
    for one, several in zip(jax.tree.leaves(single.alphas), jax.tree.leaves(both.alphas), strict=True):
        np.testing.assert_allclose(several[0], one, rtol=1e-3, atol=1e-4)
    for one, several in zip(jax.tree.leaves(single.weights), jax.tree.leaves(both.weights), strict=True):
        np.testing.assert_allclose(several[0], one, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("choice", FITTING)
def test_seeds_in_one_program_are_single_searches_of_every_method(choice):
    """In the parts of a method; above with its network."""
    with jax.enable_x64(True):
        search, init, step = formula(choice)
        keys = jnp.stack([jax.random.key(seed) for seed in (0, 1)])
        both, _ = formula_searched(jax.jit(jax.vmap(search.step, (0, None))), jax.jit(jax.vmap(search.init))(keys))
        for i, key in enumerate(keys):
            single, _ = formula_searched(step, init(key))
            for a, b in zip(jax.tree.leaves(single), jax.tree.leaves(both), strict=True):
                np.testing.assert_allclose(b[i], a, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("choice", FITTING)
def test_jit_changes_nothing(choice):
    """In the parts of a method; tests/search/test_bilevel.py has a step with its network."""
    with jax.enable_x64(True):
        search, init, step = formula(choice)
        start = init(jax.random.key(0))
        jitted = formula_searched(step, start)
        with jax.disable_jit():
            plain = formula_searched(search.step, start)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(jitted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), plain[0].weights, start.weights)
    assert int(plain[0].step) == STEPS and max(jax.tree.leaves(moved)) > 1e-3


BESIDE = {  # what a setting needs to act
    "asap:hottest": ",coldest=0.0001",
    "asap:grace": ",coldest=0.0001",
    "darts:radius": ",order=finite_difference",
    "drnas:scale": ",distance=kl,keep=2",
    "gaea:edge_rate": ",edges=true",
    "idarts:damping": ",solver=cg",
    "proxyless_nas:weight": ",cost=parameters,target=2",
    "proxyless_nas:power": ",cost=parameters,target=2",
    "robust_darts:multiplier": ",adaptive=true",
    "robust_darts:largest": ",adaptive=true,multiplier=1.01",
}
LEAST = [
    f"{name}:{parameter.name}={allowed.least + allowed.above * 1e-9}{BESIDE.get(f'{name}:{parameter.name}', '')}"
    for name, factory in METHODS.items()
    for parameter in inspect.signature(factory).parameters.values()
    if isinstance(parameter.default, float) and (allowed := range_of(parameter.annotation))
    if (name, parameter.name) != ("proxyless_nas", "target")  # 0: none, which a cost refuses
]


@pytest.mark.slow
@pytest.mark.parametrize("choice", LEAST)
def test_at_the_ends_of_their_ranges_settings_give_numbers(choice):
    search, init, step = formula(choice)
    state, metrics = formula_searched(step, init(jax.random.key(0)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.weights, state.alphas, metrics)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(search.mix(state)))


@pytest.mark.parametrize("choice", DEFAULTS)
def test_a_restored_search_goes_on_as_if_it_had_not_ended(choice, tmp_path):
    search, init, step = formula(choice)
    state, _ = step(init(jax.random.key(0)), levels(0))
    with records.create(tmp_path / "run", Config()) as run:
        run.checkpoint(1, state, {})
    with records.resume(tmp_path / "run") as run:
        restored, _ = run.restore(jax.eval_shape(search.init, jax.random.key(0)))
    uninterrupted, resumed = formula_searched(step, state, 1), formula_searched(step, restored, 1)
    assert jax.tree.structure(uninterrupted) == jax.tree.structure(resumed)
    for a, b in zip(jax.tree.leaves(uninterrupted), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name]().select and not METHODS[name]().masks])
def test_selection_follows_its_seed_and_finds_a_good_genotype(name):
    """The accuracy asked for is how often a mix has the last operation."""
    asked = []

    def evaluate(mix, train=False, batches=None, calibrate=0):
        asked.append(batches)
        return float(np.mean(mix["cell"][:, -1]))

    def select(seed):
        genotype = METHODS[name]().select(SPACE, {"cell": np.full((3, 3), 1 / 3)}, evaluate, seed)
        check(genotype, SPACE)
        return genotype

    first = select(0)
    tried = len(asked)
    assert {edge.operation for edge in first.cell("cell").edges} == {"nor_conv_1x1"}  # 27 genotypes: it meets them all
    assert select(0) == first and len(asked) == 2 * tried
