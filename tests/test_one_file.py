"""A task, a space, a data set and an optimiser are one file each: new ones are put beside ours and used together."""

import importlib
import sys

import numpy as np
import pytest

import dnas
from dnas import find
from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig
from dnas.errors import UserError

FILES = {
    "dnas.data": (
        "two_moons",
        '''
"""Two clouds of points in the plane."""

from dataclasses import dataclass
import numpy as np
from dnas.data import Location

@dataclass(frozen=True, eq=False)
class Points:
    x: np.ndarray
    y: np.ndarray
    name: str = "two_moons"
    task: str = "side"

def dataset(*, limit: int = 0) -> Points:
    """200 points of two classes."""
    y = np.arange(limit or 200, dtype=np.int32) % 2
    return Points((np.random.default_rng(0).normal(size=(len(y), 2)) + 3 * y[:, None]).astype(np.float32), y)

def locate() -> Location:
    return Location((), "embedded", "It is made on the fly.")
''',
    ),
    "dnas.tasks": (
        "side",
        '''
"""On which side a point lies."""

from dataclasses import dataclass
from typing import Any
import jax
from dnas.tasks.classification import Classification
from dnas.tasks.rows import padded_rows, random_order
from dnas.tasks.task import Shape
from dnas.types import Batch

class Steps(Classification):
    def order(self, key, arrays, needed):
        return random_order(key, len(arrays[0]), needed)

    def batch(self, arrays, order, number, size, key):
        rows = jax.lax.dynamic_slice_in_dim(order, number * size, size)
        return Batch(*(leaf[rows] for leaf in arrays))

    def evaluation_batch(self, row, constants):
        return Batch(*row)

@dataclass(frozen=True, eq=False, kw_only=True)
class Side(Steps):
    data: Any
    pure = Steps()
    name = "side"
    takes = "features"
    note = ""
    sizes = "points"
    shape = Shape(2, (2,))

    def described(self):
        return {"name": self.data.name}

    def arrays(self, part):
        rows = slice(0, 120) if part == "train" else slice(120, None)
        return self.data.x[rows], self.data.y[rows]

    def steps(self, part, batch_size):
        return -(-len(self.arrays(part)[0]) // batch_size)

    def evaluation(self, part):
        x, y = self.arrays(part)
        rows, counted = padded_rows(len(x), 32)
        return (x[rows], y[rows], counted), ()

def task():
    """It has no settings."""
    return lambda dataset, plan, config, stage: (Side(data=dataset), plan)
''',
    ),
    "dnas.spaces": (
        "bend",
        '''
"""One layer whose activation is searched."""

import jax
import jax.numpy as jnp
from flax import nnx
from dnas.architectures.topology import Cell, Norm, Space
from dnas.nets.layers import Linear, Outputs

BENDS = {"tanh": jnp.tanh, "zero": jnp.zeros_like}

class Layer(nnx.Module):
    def __init__(self, size, rngs):
        self.first, self.last = Linear(2, size.channels, rngs=rngs), Linear(size.channels, size.classes, rngs=rngs)

class Mixed(Layer):
    def __init__(self, space, size, *, rngs):
        super().__init__(size, rngs)

    def __call__(self, x, mix, noise=None):
        hidden = self.first(x)
        return self.last(sum(w * bend(hidden) for w, bend in zip(mix["bend"][0], BENDS.values(), strict=True)))

class Chosen(Layer):
    def __init__(self, genotype, space, size, *, rngs):
        super().__init__(size, rngs)
        self.bend = genotype.cell("bend").edges[0].operation

    def __call__(self, x, drop_path=None, noise=None):
        return Outputs(self.last(BENDS[self.bend](self.first(x))))

def space() -> Space:
    """It has no settings."""
    cell = Cell(inputs=1, nodes=1, edges=((1, 0),), operations=(tuple(BENDS),))
    norm = Norm(affine=False, pools=False)
    return Space("bend", {"bend": cell}, BENDS, None, norm, norm, Mixed, Chosen, takes="features")
''',
    ),
    "dnas.training.optimisers": (
        "sign",
        '''
"""SignSGD: Bernstein et al., ICML 2018, arXiv:1802.04434."""

import optax
from dnas.training.protocols import Optimiser

def optimiser() -> Optimiser:
    """It has no settings."""
    return Optimiser(lambda rate, decay: optax.chain(optax.scale_by_sign(), optax.scale_by_learning_rate(rate)), False)
''',
    ),
}


@pytest.fixture
def beside_ours(tmp_path, monkeypatch):
    """The files in folders that our packages look into."""
    names = []
    for package, (name, text) in FILES.items():
        module = importlib.import_module(package)
        folder = tmp_path / package
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
        names.append(f"{package}.{name}")
    yield
    for name in names:
        sys.modules.pop(name, None)


def test_new_files_are_found_searched_trained_and_loaded(beside_ours, tmp_path):
    for what, name in (("data set", "two_moons"), ("task", "side"), ("space", "bend"), ("optimiser", "sign")):
        assert name in find.available(what)
    plain, weights = AugmentConfig(pad=0, flip=False), WeightConfig(learning_rate=0.01, optimiser="sign")
    config = Config(
        space="bend",
        data="two_moons",
        search=SearchConfig(
            epochs=8, batch_size=20, cells=1, channels=4, alphas=AlphaConfig(0.1), weights=weights, augment=plain
        ),
        retrain=RetrainConfig(
            epochs=8, batch_size=20, cells=1, channels=4, auxiliary=0.0, drop_path=0.0, weights=weights, augment=plain
        ),
    )
    found = dnas.search.run(config, tmp_path / "search", quiet=True)
    assert found.genotype.cell("bend").edges[0].operation == "tanh", "the other one sees nothing of a point"
    trained = dnas.retrain.run(config, found.genotype, tmp_path / "train", quiet=True)
    assert trained.score > 0.9
    loaded = dnas.load(trained.folder)
    assert loaded.evaluate().measures["accuracy"] == np.float64(trained.score)
    assert dnas.load(found.folder).evaluate().measures["accuracy"] == found.scores[0]
    with pytest.raises(UserError, match="The task 'side' takes no inputs but its data"):
        loaded.predict(np.zeros((1, 2)))
