"""Batches that are cut to the length of their longest example: nothing changes by it but how long it takes."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.genotype import random
from dnas.config import Config
from dnas.data import _pairs, _sentences
from dnas.data._tokeniser import PADDING
from dnas.nets.functional import Functional, forward, functionalize
from dnas.runs import programs
from dnas.runs.devices import Layout
from dnas.search import stage as searching
from dnas.search.method import adapted
from dnas.search.plan import spans
from dnas.search.stage import Stage
from dnas.tasks import text_classification, translation
from dnas.tasks.lengths import bucket_lengths
from dnas.training.buckets import cuts, grouped, in_buckets, number_of, shortened, whole
from dnas.training.epoch import evaluated
from dnas.training.job import Job, network_of, network_size_of
from dnas.types import Noise

WORDS = ("red", "green", "blue", "round", "flat", "old", "new", "odd", "even")
SPACES = {
    "sentences": "text:size=tiny,layers=4,embedded=0.3,dropout=0.3",
    "pairs": "transformer:reads=both,size=tiny,dropout=0.2,mixers=both,norms=post",
}
BATCH, LENGTH = 4, 9


def texts(count, part):
    """Of 1 to 9 words; those of the train part have all lengths."""
    lengths = np.random.default_rng(len(part)).permutation(np.arange(count) % LENGTH)
    return [" ".join(WORDS[: 1 + length]) for length in lengths]


def bound(kind, buckets=3, stage="retrain"):
    config = Config(space=SPACES[kind], data="mine")
    plan = replace(getattr(config, stage), batch_size=BATCH, epochs=2, cells=1, channels=4)
    if stage == "retrain":
        plan = replace(plan, auxiliary=0.0, drop_path=0.0)
    counts = {"train": 26, "valid": 9, "test": 11}
    if kind == "sentences":
        rows = {
            part: [_sentences.Row(text, "ab"[i % 2], f"line {i}") for i, text in enumerate(texts(count, part))]
            for part, count in counts.items()
        }
        make, data = text_classification.task, _sentences.of_rows("mine", rows)
    else:
        lines = {
            part: _pairs.Lines(
                tuple(texts(count, part)),
                tuple(" ".join(reversed(text.upper().split())) for text in texts(count, part)),
                (("one", "other"),) * count,
            )
            for part, count in counts.items()
        }
        make, data = partial(translation.task, tokens="words"), _pairs.of_lines("mine", lines)
    task, plan = make(max_length=LENGTH, buckets=buckets)(data, plan, config, stage)
    return task, replace(config, **{stage: plan})


def network_for(task, config):
    """One of the space, of all operations that fit into it."""
    space = find.resolve("space", config.space)
    size = network_size_of(config.retrain, space, task.shape)
    return functionalize(network_of(random(space, np.random.default_rng(3)), space, size))


@pytest.fixture(scope="module", params=list(SPACES))
def prepared(request):
    with jax.enable_x64(True):
        task, config = bound(request.param)
        network = network_for(task, config)
        state = jax.tree.map(lambda leaf: leaf + 0.1, jax.jit(network.init)(jax.random.key(0)))
        yield SimpleNamespace(kind=request.param, task=task, config=config, network=network, state=state)


def test_lengths_of_buckets():
    assert bucket_lengths(48, 3) == (16, 32, 48) and bucket_lengths(64, 1) == (64,)
    assert bucket_lengths(10, 4) == (3, 5, 8, 10) and bucket_lengths(3, 16) == (1, 2, 3)


def test_steps_have_examples_of_like_length(prepared):
    task = prepared.task
    arrays, steps = task.arrays("train"), task.steps("train", BATCH)
    order = task.order(jax.random.key(1), arrays, steps * BATCH)
    found, buckets = grouped(task, arrays, order, steps)
    assert sorted(found.tolist()) == sorted(order.tolist()) and len(buckets) == steps
    lengths = np.asarray(task.lengths(arrays))[found].reshape(steps, BATCH)
    assert (np.asarray(task.buckets)[buckets] >= lengths.max(1)).all()
    assert sum(len(set(row)) > 1 for row in np.searchsorted(task.buckets, lengths)) <= 2  # where two buckets meet
    assert len({*np.asarray(buckets).tolist()}) > 1 and not (np.diff(buckets) >= 0).all()  # lengths alternate
    other, again = grouped(task, arrays, task.order(jax.random.key(2), arrays, steps * BATCH), steps)
    assert (found != other).any() and (again == buckets).mean() > 0.5
    same, none = grouped(whole(task), arrays, order, steps)
    assert same is order and not none.any() and not cuts(whole(task)) and not cuts(bound(prepared.kind, 1)[0])


def test_a_cut_batch_trains_alike(prepared):
    """Loss, gradient and statistics of a step, with dropout."""
    task, network, (weights, stats) = prepared.task, prepared.network, prepared.state
    arrays = task.arrays("train")
    short = np.resize(np.flatnonzero(np.asarray(number_of(task, arrays)) == 0), BATCH)
    batch = task.batch(arrays, jnp.asarray(short), jnp.array(0), BATCH, jax.random.key(1))

    def seen(_, batch):
        def loss(weights):
            noise = Noise(jax.random.key(5))
            outputs, moments, _ = forward(network, weights, stats, batch.inputs, train=True, noise=noise)
            return task.loss(outputs, batch)[0], moments

        return jax.value_and_grad(loss, has_aux=True)(weights)

    both = jax.jit(lambda batch: (seen((), batch), in_buckets(task, seen)(0, (), batch)))
    filled_up, cut = both(batch)
    assert jax.tree.leaves(batch.inputs)[0].shape[1] == LENGTH > task.buckets[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), filled_up, cut)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(cut[1])) > 1e-3


def test_a_part_is_evaluated_alike(prepared):
    task, network, state = prepared.task, prepared.network, prepared.state
    data = task.evaluation("train")
    pieces = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:24].reshape(6, 4, *leaf.shape[2:]), data[0])
    numbers = np.asarray(number_of(task, pieces)).max(1)
    assert (np.diff(numbers) >= 0).all() and len({*numbers}) == 3  # short ones stand side by side
    found = [
        jax.device_get(jax.jit(partial(evaluated, network, one, train=False))(state, (pieces, data[1])))
        for one in (task.pure, whole(task.pure))
    ]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), *found)
    in_search = bound(prepared.kind, stage="search")[0]
    row = jax.tree.map(lambda leaf: leaf[0], in_search.evaluation("valid")[0])
    as_they_are = in_search.lengths(in_search.arrays("valid"))
    np.testing.assert_array_equal(in_search.lengths(row), as_they_are)


def test_inputs_are_cut(prepared):
    task = prepared.task
    sources = task.inputs(["red green", "red"])
    assert shortened(task, sources).shape == (2, 3) and shortened(whole(task), sources).shape == (2, LENGTH)
    assert shortened(task, task.inputs(["red " * LENGTH])).shape == (1, LENGTH)
    assert (shortened(task, sources) != PADDING).sum() == (sources != PADDING).sum()


@pytest.mark.slow
def test_a_search_with_cut_batches_ends_alike(monkeypatch):
    """What it ends with is that of whole batches; the network, in a line, has seen all lengths."""
    seen = []

    def init(key):
        return {"w": jax.random.normal(key, (20, 2))}, {"mean": jnp.zeros(1)}

    def apply(weights, stats, x, mix, *_, train, **__):
        seen.append(x.shape[-1])
        return (weights["w"][x] * (x != PADDING)[..., None]).sum(1) * (1 + mix["operation"][0, 0]), stats

    monkeypatch.setattr(programs, "deferred", lambda build, recurrent=False: Functional(init, apply))
    task, config = bound("sentences", stage="search")
    space = find.resolve("space", config.space)
    method = adapted(find.resolve("method", "darts"), space, config.search)
    (phase,) = method.phases(space, config.search)
    stage = Stage(config, method, phase, space, task, spans((phase,), task)[0], 0)
    first = jax.tree.map(lambda leaf: leaf[0], stage._init(np.array([0])))

    def advanced():
        seen.clear()
        found = _numbers(jax.jit(lambda progress: stage._advance(progress, stage.steps, stage.arrays))(first))
        return found, {*seen}

    cut, lengths = advanced()
    monkeypatch.setattr(searching, "in_buckets", lambda task, step: lambda _, *given: step(*given))
    filled_up, longest = advanced()
    assert lengths == {*task.buckets} and longest <= {LENGTH}  # JAX may know what it has traced
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), cut, filled_up)


def test_seeds_side_by_side_take_one_branch():
    """With vmap a branch by the largest of all seeds stays one; by numbers of their own all would be computed."""
    layout = Layout(2)

    def run(number, x):
        return jax.lax.switch(layout.largest(number), [lambda x: x, lambda x: 2 * x], x)

    given = jnp.array([0, 1]), jnp.ones(2)
    assert " cond[" in str(jax.make_jaxpr(jax.vmap(run))(*given))
    np.testing.assert_array_equal(jax.vmap(run)(*given), [2, 2])
    assert run(jnp.array(0), 3.0) == 3


@pytest.mark.slow
def test_a_training_is_the_same_in_pieces_and_for_seeds_side_by_side():
    task, config = bound("sentences")
    space = find.resolve("space", config.space)
    genotype = random(space, np.random.default_rng(3))
    one, two = (Job(replace(config, seeds=seeds), space, genotype, task, True) for seeds in (1, 2))
    count = task.steps("train", BATCH)
    whole_epoch = one.advanced(one.first(), count)
    in_pieces = one.advanced(one.advanced(one.first(), 3), count - 3)
    jax.tree.map(np.testing.assert_array_equal, *map(_numbers, (whole_epoch, in_pieces)))
    both = two.advanced(two.first(), count)
    for alone, beside in zip(*map(jax.tree.leaves, map(_numbers, (whole_epoch, both))), strict=True):
        np.testing.assert_allclose(alone[0], beside[0], rtol=1e-4, atol=1e-5)
    assert np.isfinite(two.measure("test", both)[1]["test_loss"])


def _numbers(progress):
    return jax.device_get(progress._replace(state=progress.state._replace(key=())))
