"""What a proxy is: a score of a network before any training, from its weights and one batch.

A proxy is a file in `dnas/proxies/` with `proxy(*, ...) -> Proxy`. Everything is traced and pure, so that architectures
can be scored by one program: `one_path` makes a subject whose architecture is an argument. Several proxies of one
network share what they need, its gradient and its Jacobian, by their `Evidence`. More is meant to be better.

Axis letters: B batch, H W C images, E edges, O operations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas import find, keys
from dnas.architectures.encoding import every
from dnas.architectures.genotype import Genotype, as_mix
from dnas.architectures.topology import NetworkSize, Space
from dnas.errors import UserError
from dnas.nets.count import Counts, candidates, count
from dnas.nets.functional import Deferred, Functional, functionalize
from dnas.nets.ops import ALWAYS_RANDOM
from dnas.proxies.watched import WATCHED, Kernel, Path, exchanged, kernels, place
from dnas.tasks.classification import cross_entropy
from dnas.types import Batch, Mix, Tree, Weights

Kernels = dict[Path, jax.Array]


class Score(NamedTuple):
    """value: []. parts: what it was made of, as its file says."""

    value: jax.Array
    parts: Tree = ()


class Costs(NamedTuple):
    """parameters, multiply_adds: of a derived network, without an auxiliary head, for one image; []."""

    parameters: Any
    multiply_adds: Any


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to score.

    build: rngs -> the module of (images [B, H, W, C], *mix); mix: nothing, or {kind: [E, O]} of a supernet.
    costs: (*mix) -> `Costs`. thin: the same of images and cells with one channel, see `thinned`.
    train: whether it normalises by the batch, else by its running statistics. parts: into how many batches the batch is
    cut, whose gradients are added.
    """

    build: Callable[[nnx.Rngs], nnx.Module]
    costs: Callable[..., Costs]
    train: bool = True
    parts: int = 1
    thin: Callable[[nnx.Rngs], nnx.Module] | None = None

    def changed(self, classes: Mapping[type, type]) -> Functional:
        """The network with other classes in the place of some layers, see `watched`."""
        return functionalize(lambda rngs: exchanged(self.build(rngs), classes))

    def thin_with(self, classes: Mapping[type, type]) -> Functional:
        """The thin network with other classes in the place of some layers."""
        thin = self.thin
        assert thin is not None
        return functionalize(lambda rngs: exchanged(thin(rngs), classes))

    @cached_property
    def network(self) -> Functional:
        """As it is. Its weights and statistics are what is scored."""
        return functionalize(self.build)

    @cached_property
    def watched(self) -> Functional:
        """Its convolutions and linear layers with gates."""
        return self.changed(WATCHED)

    @cached_property
    def kernels(self) -> dict[Path, Kernel]:
        """Of the convolutions and linear layers."""
        return kernels(self.build(Deferred(params=jax.random.key(0))))


class Gradient(NamedTuple):
    """Of the loss. kernels: by the kernels, summed over the parts of the batch. last: of the last part alone.
    channels: by the gates, of each part [..., B, C]: the sum of activation times gradient over the pixels."""

    kernels: Kernels
    last: Kernels
    channels: list[Kernels]


@dataclass(frozen=True, eq=False)
class Evidence:
    """One network at one batch; what several proxies need is computed once."""

    subject: Subject
    weights: Weights
    stats: Tree
    batch: Batch
    key: jax.Array
    mix: tuple[Mix, ...] = ()

    @property
    def kernels(self) -> Kernels:
        """Of the convolutions and linear layers, with their copies on leading axes."""
        flat = flatten_dict(self.weights)
        return {path: flat[path] for path in self.subject.kernels}

    @property
    def batches(self) -> list[Batch]:
        """The parts of the batch."""
        size, parts = len(self.batch.inputs), self.subject.parts
        if size < parts:
            raise UserError(f"A batch of {size} images cannot be cut into {parts} parts.")
        ends = [part * size // parts for part in range(parts + 1)]
        pairs = zip(ends[:-1], ends[1:], strict=True)
        return [Batch(self.batch.inputs[a:b], self.batch.targets[a:b]) for a, b in pairs]

    def logits(self, images: jax.Array) -> jax.Array:
        """[B, classes]."""
        return read(self.subject.network.apply(self.weights, self.stats, images, *self.mix, train=self.subject.train))

    def loss(self, kernels: Kernels, batch: Batch, gates: Kernels | None = None) -> jax.Array:
        """Cross-entropy with these kernels, and with gates [..., B, C] on what leaves them; []."""
        weights = unflatten_dict(flatten_dict(self.weights) | kernels)
        stats, network = self.stats, self.subject.network
        if gates is not None:
            stats, network = self.gated(gates), self.subject.watched
        return cross_entropy(
            read(network.apply(weights, stats, batch.inputs, *self.mix, train=self.subject.train)), batch.targets
        )

    def gated(self, gates: Kernels) -> Tree:
        """The statistics with gates [..., B, C], for `Subject.watched`."""
        flat = flatten_dict(self.stats)
        for path, kernel in self.subject.kernels.items():
            flat[*path[:-1], place(path[-1], "gate")] = gates[path]
            flat[*path[:-1], place(path[-1], "used")] = jnp.zeros(kernel.lead)
        return unflatten_dict(flat)

    @cached_property
    def used(self) -> Kernels:
        """Which copies of the kernels the network uses, 1 or 0 [...]."""
        image = self.batch.inputs[:1]
        apply, stats = self.subject.watched.apply, self.gated(self._gates(image))
        _, moments = apply(self.weights, stats, image, *self.mix, train=self.subject.train)
        flat = flatten_dict(moments)
        return {path: flat[*path[:-1], place(path[-1], "used")] for path in self.subject.kernels}

    @cached_property
    def gradient(self) -> Gradient:
        """Of the loss."""
        by_part = [
            jax.grad(self.loss, (0, 2))(self.kernels, batch, self._gates(batch.inputs)) for batch in self.batches
        ]
        total = jax.tree.map(lambda *parts: sum(parts), *(kernels for kernels, _ in by_part))
        return Gradient(total, by_part[-1][0], [channels for _, channels in by_part])

    @cached_property
    def jacobian(self) -> jax.Array:
        """The sum of the logits by the images [B, H W C], in float64 where that is enabled."""
        rows = [jax.grad(lambda images: self.logits(images).sum())(batch.inputs) for batch in self.batches]
        return jnp.concatenate(rows).reshape(len(self.batch.inputs), -1).astype(float)

    def _gates(self, images: jax.Array) -> Kernels:
        return {
            path: jnp.ones((*kernel.lead, len(images), kernel.shape[-1]), images.dtype)
            for path, kernel in self.subject.kernels.items()
        }


Measure = Callable[[Evidence], Score]
Proxy = Callable[[Subject], Measure]
Scorer = Callable[..., dict[str, Score]]


def named(text: str) -> dict[str, Proxy]:
    """The proxies of `nwot+synflow` by name. Errors: `UserError` for one that is unknown or named twice."""
    names = [name.strip() for name in text.split("+")]
    if len({*names}) < len(names):
        raise UserError(f"The proxies '{text}' name one twice: leave one out.")
    return {name: find.resolve("proxy", name) for name in names}


def scorer(subject: Subject, proxies: Mapping[str, Proxy]) -> Scorer:
    """(weights, stats, batch, key, *mix) -> the scores by name. Traced and pure."""
    measures = {name: proxy(subject) for name, proxy in proxies.items()}
    assert subject.kernels and subject.network and subject.watched  # built now, not while something is traced

    def score(weights: Weights, stats: Tree, batch: Batch, key: jax.Array, *mix: Mix) -> dict[str, Score]:
        evidence = Evidence(subject, weights, stats, batch, key, mix)
        return {name: measure(evidence) for name, measure in measures.items()}

    return score


def of_weights(subject: Subject, proxies: Mapping[str, Proxy]) -> Callable[..., dict[str, jax.Array]]:
    """(weights, stats, batch, key, *mix) -> the values by name, as large floats as are enabled. Traced and pure."""
    measure = scorer(subject, proxies)
    return lambda *args: {name: one.value.astype(float) for name, one in measure(*args).items()}


def of_new_weights(subject: Subject, proxies: Mapping[str, Proxy]) -> Callable[..., dict[str, jax.Array]]:
    """(key, batch, *mix) -> the values by name, of weights that are drawn for it: float32, also where float64 is
    enabled. Traced and pure."""
    measure, init = of_weights(subject, proxies), subject.network.init

    def score(key: jax.Array, batch: Batch, *mix: Mix) -> dict[str, jax.Array]:
        state = init(keys.stream(key, "weights"))
        weights, stats = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), state)
        return measure(weights, stats, batch, keys.stream(key, "draws"), *mix)

    return score


def derived(genotype: Genotype, space: Space, size: NetworkSize, image_size: int) -> Subject:
    """The derived network of a genotype, for images of image_size x image_size pixels.

    Errors: `UserError` for a space that reads anything but images, and for networks that draw noise.
    """
    check(space)
    size, network = replace(size, auxiliary=False), space.network
    assert network is not None

    def costs() -> Costs:
        found = count(genotype, space, size, image_size)
        return Costs(np.float32(found.parameters), np.float32(found.multiply_adds))

    thin = thinned(space, size)
    return Subject(
        lambda rngs: network(genotype, space, size, rngs=rngs),
        costs,
        thin=lambda rngs: network(genotype, space, thin, rngs=rngs),
    )


def one_path(space: Space, size: NetworkSize, image_size: int) -> Subject:
    """All derived networks of a space in one: a mix with a single 1 in the row of every edge that is kept says which.
    Its kernels are those of all operations; of those that are not chosen nothing is computed.

    Errors: as of `derived`.
    """
    check(space)
    size = replace(size, auxiliary=False)
    alone, supernet = replace(space, paths="one", search_norm=space.network_norm), space.supernet
    assert supernet is not None

    @cache
    def known() -> tuple[Any, Counts, Mix]:
        example = next(every(space))
        table, whole = candidates(space, size, image_size), count(example, space, size, image_size)
        return table, whole, as_mix(example, space)

    def costs(mix: Mix) -> Costs:
        tables, whole, example = known()
        parameters, multiply_adds = jnp.float32(whole.parameters), jnp.float32(whole.multiply_adds)
        for kind, table in tables.items():
            change = mix[kind] - example[kind]
            parameters += (change * table.parameters.sum(0)).sum()
            multiply_adds += (change * table.multiply_adds.sum(0)).sum()
        return Costs(parameters, multiply_adds)

    thin = thinned(space, size)
    return Subject(
        lambda rngs: supernet(alone, size, rngs=rngs), costs, thin=lambda rngs: supernet(alone, thin, rngs=rngs)
    )


def thinned(space: Space, size: NetworkSize) -> NetworkSize:
    """The same with one channel, of images too, and as few cells as contain all kinds."""
    fewest = next(n for n in range(1, size.cells + 1) if space.contained(n) == space.contained(size.cells))
    return replace(size, cells=fewest, channels=1, image_channels=1, inputs=())


def check(space: Space) -> None:
    """Errors: `UserError` for a space that proxies cannot score."""
    if space.takes != "images":
        raise UserError(f"Proxies score networks of images, and those of '{space.name}' read {space.takes}.")
    if space.chain:
        raise UserError(f"Proxies score networks of cells, and those of '{space.name}' are chains of blocks.")
    if space.own_size:
        raise UserError(f"Proxies score networks of cells, and those of '{space.name}' choose widths.")
    names = {name for cell in space.cells.values() for edge in cell.operations for name in edge}
    if random := sorted(names & ALWAYS_RANDOM):
        raise UserError(f"Proxies score networks that draw nothing, and '{space.name}' has '{random[0]}'.")


def read(applied: tuple[Any, Tree]) -> jax.Array:
    """The logits of what `Functional.apply` returns."""
    outputs, _ = applied
    return outputs if isinstance(outputs, jax.Array) else outputs.logits


def total(parts: Kernels) -> Score:
    """The sum of all entries."""
    return Score(jnp.stack([part.sum() for part in parts.values()]).sum(), parts)


def product(function: Callable[[jax.Array, jax.Array], jax.Array], one: Kernels, other: Kernels) -> Kernels:
    """A function of two entries, everywhere."""
    return {path: function(one[path], other[path]) for path in one}


def norms(values: Kernels, known: Mapping[Path, Kernel]) -> Kernels:
    """The L2 norm of every copy of every kernel."""
    return {
        path: jnp.sqrt(jnp.square(value).sum(tuple(range(len(known[path].lead), value.ndim))))
        for path, value in values.items()
    }
