"""Random keys: no two places of a run draw from one key, nor from one that another was made from."""

from collections import Counter, defaultdict
from functools import partial
from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import data as datasets
from dnas import find, keys
from dnas.architectures.genotype import random
from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig
from dnas.nets.functional import Functional
from dnas.nets.layers import Outputs
from dnas.runs import programs
from dnas.search.method import adapted
from dnas.search.plan import spans
from dnas.search.stage import Stage
from dnas.tasks.images import Images
from dnas.training.job import Job

run = import_module("dnas.search.run")  # the package has a function of this name
DRAWS = ["normal", "uniform", "bernoulli", "randint", "permutation", "gumbel", "categorical", "loggamma", "bits"]
CONFIG = Config(
    space="nasbench201:nodes=3",
    search=SearchConfig(
        epochs=2,
        batch_size=4,
        cells=1,
        channels=4,
        inner_steps=1,
        alphas=AlphaConfig(learning_rate=0.01),
        weights=WeightConfig(learning_rate=0.01),
        augment=AugmentConfig(pad=1, flip=True, cutout=2),
    ),
    retrain=RetrainConfig(epochs=2, batch_size=4, cells=1, channels=4, auxiliary=0.0, drop_path=0.2),
)
STEPS = 3


def test_streams_differ_by_name_and_number():
    key = jax.random.key(0)
    names = ("weights", "alphas", "run", "order", "augment", "step", "phase", "relax", "noise", "perturb", "drop path")
    found = [keys.stream(key, name, *numbers) for name in names for numbers in ((), (0,), (1,), (2, 3), (3, 2))]
    found += [*jax.random.split(key, 50), *(jax.random.fold_in(key, i) for i in range(50, 100))]
    assert len({tuple(jax.random.key_data(k).tolist()) for k in found}) == len(found)
    traced = jax.jit(lambda n: keys.stream(key, "augment", n))(jnp.int32(7))
    np.testing.assert_array_equal(*map(jax.random.key_data, (traced, keys.stream(key, "augment", 7))))


class Recorder:
    """What happened to every key: drawn from, split, or folded with which numbers."""

    def __init__(self, monkeypatch):
        self.drawn, self.split, self.folded = Counter(), Counter(), defaultdict(list)
        for name in DRAWS:
            monkeypatch.setattr(jax.random, name, partial(self.draw, getattr(jax.random, name)))
        monkeypatch.setattr(jax.random, "split", partial(self.divide, jax.random.split))
        monkeypatch.setattr(jax.random, "fold_in", partial(self.fold, jax.random.fold_in))

    @staticmethod
    def of(key):
        if isinstance(key, jax.core.Tracer):  # under vmap
            return None
        return tuple(np.asarray(jax.random.key_data(key)).ravel().tolist())

    def draw(self, function, key, *args, **options):
        self.drawn[self.of(key)] += 1
        return function(key, *args, **options)

    def divide(self, function, key, *args):
        self.split[self.of(key)] += 1
        return function(key, *args)

    def fold(self, function, key, number):
        self.folded[self.of(key)].append(None if isinstance(number, jax.core.Tracer) else int(number))
        return function(key, number)

    def check(self, draws):
        for uses in (self.drawn, self.split, self.folded):
            uses.pop(None, None)
        assert len(self.drawn) >= draws
        assert max(self.drawn.values()) == 1, "two draws from one key"
        assert max(self.split.values(), default=1) == 1, "a key that is split twice gives the same keys twice"
        for a, b in ((self.drawn, self.split), (self.drawn, self.folded), (self.split, self.folded)):
            assert not set(a) & set(b), "a key that is drawn from, split and folded gives keys that may meet"


def data():
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), np.uint8)
    splits = datasets.split(datasets.from_arrays("noise", images, np.arange(24) % 3), 0.5, 0)
    return Images(splits=splits, recipe=CONFIG.search.augment, dtype="float32")


def formula(mixed):
    """A network in a line, with a supernet's or a derived network's arguments."""

    def init(key):
        return {"w": jax.random.normal(key, (1, 3))}, {"mean": jnp.zeros(1)}

    def apply(weights, stats, x, mix=None, *_, train, **__):
        pooled = x.mean((1, 2))
        logits = pooled @ weights["w"]
        if mixed:
            logits *= 1 + sum(m.mean() for m in jax.tree.leaves(mix))
        return logits if mixed else Outputs(logits), {"mean": pooled.mean(0)}

    return Functional(init, apply)


@pytest.mark.slow
@pytest.mark.parametrize(
    "choice", ["darts", "gdas", "drnas:partial=1", "proxyless_nas", "spos", "enas", "sdarts:attack=random"]
)
def test_no_two_keys_of_a_search_meet(choice, monkeypatch):
    monkeypatch.setattr(programs, "deferred", lambda build, recurrent=False: formula(True))
    space, method = find.resolve("space", CONFIG.space), find.resolve("method", choice)
    method, task = adapted(method, space, CONFIG.search), data()
    phase = method.phases(space, CONFIG.search)[0]
    stage = Stage(CONFIG, method, phase, space, task, spans((phase,), task)[0], 0)
    assert stage.steps == STEPS
    recorder = Recorder(monkeypatch)
    with jax.disable_jit():
        progress = stage._init(np.array([0]))
        progress = jax.tree.map(lambda leaf: leaf[0], progress)
        for _ in range(CONFIG.search.epochs):
            progress = stage._advance(progress, STEPS, stage.arrays)
    recorder.check(draws=2 * CONFIG.search.epochs * (1 + STEPS))


@pytest.mark.slow
def test_no_two_keys_of_a_training_meet(monkeypatch):
    monkeypatch.setattr(programs, "deferred", lambda build, recurrent=False: formula(False))
    space = find.resolve("space", CONFIG.space)
    job = Job(CONFIG, space, random(space, 0), data(), quiet=True)
    recorder = Recorder(monkeypatch)
    with jax.disable_jit():
        progress = jax.tree.map(lambda leaf: leaf[0], job._init(np.array([0])))
        for _ in range(CONFIG.retrain.epochs):
            progress = job._advance(progress, job.steps, job.arrays)
    recorder.check(draws=CONFIG.retrain.epochs * (1 + 6 * job.steps))


def test_the_recorder_sees_keys_that_meet(monkeypatch):
    for make in (
        lambda key: (jax.random.split(key)[1], jax.random.fold_in(key, 1)),
        lambda key: (key, jax.random.fold_in(key, 1)),
        lambda key: (jax.random.fold_in(key, 1), jax.random.fold_in(key, 1)),
        lambda key: (key, jax.random.split(key)[0]),
    ):
        with monkeypatch.context() as patch:
            recorder = Recorder(patch)
            for key in make(jax.random.key(0)):
                jax.random.normal(key)
            with pytest.raises(AssertionError, match="key"):
                recorder.check(draws=1)
