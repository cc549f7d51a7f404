"""Sequences of random length: which words they read, and that what fills them up changes nothing."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas import find, retrain
from dnas.architectures.genotype import random
from dnas.architectures.topology import NetworkSize
from dnas.config import Config, RetrainConfig, SearchConfig, WeightConfig
from dnas.data import Text
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.search.bilevel import make_search
from dnas.search.levels import Levels
from dnas.search.method import Method
from dnas.spaces.rnn import space as rnn
from dnas.tasks.language import Language
from dnas.training.job import network_of, network_size_of
from dnas.training.step import make_training
from dnas.types import Batch

SPACE = rnn(nodes=2, embedded=0.0, inputs=0.0, hidden=0.0, outputs=0.0)
WEIGHTS = WeightConfig(learning_rate=2.0, optimiser="sgd:momentum=0", schedule="constant", decay=1e-3, clip=0.25)
SIZE = {"batch_size": 4, "cells": 1, "channels": 5, "weights": WEIGHTS}


def text(train=2000):
    parts = (np.arange(n, dtype=np.int32) % 50 for n in (train, 300, 200))
    return Text("counted", *parts, tuple(f"w{i}" for i in range(50)))


def language(**settings):
    return Language(text=text(), stage="retrain", **{"bptt": 12, "halved": 0.2, "spread": 2.0} | settings)


def drawn(task, count, size=4, key=0):
    arrays = jnp.asarray(task.arrays("train"))
    order = task.order(jax.random.key(key), arrays, count * size)
    one = jax.jit(lambda number: task.pure.batch(arrays, order, number, size, jax.random.key(1)))
    return [one(number) for number in range(count)]


@pytest.mark.slow
def test_sequences_follow_one_another_to_the_end_and_begin_anew():
    task = language()
    steps = task.steps("train", 4)
    assert steps == -(-499 // (12 * 0.9))
    batches, expected, lengths = drawn(task, 2 * steps), 0, []
    for batch in batches:
        assert batch.inputs.shape == (4, 20)  # bptt and four deviations
        counted = np.asarray(batch.weights[0])
        count = counted.sum()
        assert counted[:count].all() and batch.last == count - 1
        assert ((batch.targets - batch.inputs)[:, :count] % 50 == 1).all()
        assert batch.inputs[0, 0] == expected % 50
        length = round(float(batch.pace) * 12)
        lengths.append(length)
        assert count == min(length, 499 - expected)
        expected = (expected + length) % 499
    assert abs(sum(lengths[:steps]) - 499) < 60


def test_lengths_are_those_of_the_published_code():
    task = language(bptt=35, halved=0.05, spread=5.0)
    _, lengths = task.order(jax.random.key(0), None, 20_000)
    assert lengths.min() >= 5 and lengths.max() <= 55 and task.longest == 55
    long, short = (np.random.default_rng(0).normal(mean, 5, 20_000) for mean in (35, 17.5))
    whole = np.clip(np.where(np.random.default_rng(1).random(20_000) < 0.95, long, short).astype(int), 5, 55)
    shares = (0.02, 0.3, 0.5, 0.9)
    np.testing.assert_allclose(np.quantile(lengths, shares), np.quantile(whole, shares), atol=1)
    assert lengths.mean() == pytest.approx(whole.mean(), abs=0.2)
    _, halves = language(bptt=35, halved=0.05, spread=0.0).order(jax.random.key(0), None, 4000)
    assert set(np.asarray(halves).tolist()) == {17, 35} and np.mean(halves == 17) == pytest.approx(0.05, abs=0.015)


def cut(batch):
    """Without what fills it up, and at no pace of its own."""
    count = int(batch.last) + 1
    return Batch(batch.inputs[:, :count], batch.targets[:, :count], batch.weights[:, :count])


@pytest.mark.slow
def test_a_step_is_that_of_the_words_alone_with_a_rate_in_proportion():
    task, plan = language(tar=0.1), RetrainConfig(epochs=1, drop_path=0.0, auxiliary=0.0, **SIZE)
    size = network_size_of(plan, SPACE, task.shape)
    network = functionalize(network_of(random(SPACE, 0), SPACE, size))
    filled, state = make_training(network, task.pure, plan, 100), None
    step = jax.jit(filled.step)
    batches = drawn(task, 2)
    assert any(float(batch.pace) != 1 for batch in batches)
    for batch in batches:
        short = float(batch.pace) * WEIGHTS.learning_rate
        words = make_training(network, task.pure, replace(plan, weights=replace(WEIGHTS, learning_rate=short)), 100)
        state = filled.init(jax.random.key(0)) if state is None else state
        (state, sums), (expected, of_words) = step(state, batch), jax.jit(words.step)(state, cut(batch))
        for pair in ((state.weights, expected.weights), (state.carry, expected.carry)):
            jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6), *pair)
        np.testing.assert_allclose(sums["nll"], of_words["nll"], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("turns", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["in turns", "apart"])
def test_a_step_of_a_search_has_a_rate_in_proportion(turns):
    """The states are not normalised here, as moments are also those of words that do not count."""
    task = Language(text=text(), bptt=6, halved=0.5)
    config = SearchConfig(epochs=1, inner_steps=1 if turns else 2, **SIZE)
    shape = NetworkSize(1, 5, 50, 6, inputs=(6,), vocabulary=50)
    network = functionalize(lambda rngs: SPACE.supernet(SPACE, shape, rngs=rngs))
    one, other = drawn(task, 2)[:2]
    train = other if turns else jax.tree.map(lambda *leaves: jnp.stack(leaves), one, other)
    moved = []
    for pace in (1.0, 0.5):
        search = make_search(network, SPACE, Method(), config, 100, task=task.pure)
        state = search.init(jax.random.key(0))
        levels = Levels(train._replace(pace=jnp.full_like(train.pace, pace)), one)
        after, _ = jax.jit(search.step)(state, levels)
        moved.append(jax.tree.map(lambda new, old: new - old, after.weights, state.weights))
    if turns:
        for whole, half in zip(*map(jax.tree.leaves, moved), strict=True):
            np.testing.assert_allclose(half, whole / 2, rtol=1e-3, atol=1e-7)
    else:
        assert any((whole != half).any() for whole, half in zip(*map(jax.tree.leaves, moved), strict=True))


@pytest.mark.slow
def test_a_network_is_trained_with_them_and_loaded_as_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("dnas.data.load", lambda choice: text(600))
    plan = RetrainConfig(epochs=1, drop_path=0.0, auxiliary=0.0, accumulate=2, **SIZE)
    config = Config("rnn:nodes=2", data="words", task="language:bptt=8,halved=0.1,spread=1", seeds=2, retrain=plan)
    result = retrain.run(config, random(find.resolve("space", config.space), 0), tmp_path / "run", quiet=True)
    assert dnas.load(result.folder, 1).evaluate().measures["perplexity"] == result.scores[1]


def test_settings():
    with pytest.raises(UserError, match="'halved' of task 'language' halves bptt=1"):
        find.resolve("task", "language:bptt=1,halved=0.1")
    bind = find.resolve("task", "language:bptt=8,halved=0.1,spread=2")
    config = Config("rnn", data="words")
    searched, trained = (
        bind(text(), replace(plan, batch_size=4), config, stage)[0]
        for plan, stage in ((config.search, "search"), (config.retrain, "retrain"))
    )
    assert (searched.longest, trained.longest) == (8, 16)
