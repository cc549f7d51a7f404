"""Costs that are counted: published numbers, networks, and expectations by enumeration of all architectures."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.encoding import every
from dnas.architectures.genotype import as_mix, random
from dnas.architectures.topology import NetworkSize, with_operations
from dnas.costs.protocol import Additive
from dnas.errors import UserError
from dnas.nets.count import of_network
from dnas.spaces import darts, fbnet, nasbench201, rnn, tabular, text
from dnas.tables.nasbench201 import OPTIONS, table
from dnas.tables.protocol import at

COUNTED = ("parameters", "multiply_adds", "activation_memory")
SMALL = NetworkSize(3, 4, 10)


@pytest.mark.parametrize("name, column, unit", [("parameters", "parameters", 1), ("multiply_adds", "mflops", 1e6)])
def test_all_cells_of_nasbench201_cost_what_the_benchmark_says(name, column, unit):
    cost = find.resolve("cost", name)(nasbench201.space(), NetworkSize(5, 16, 10), 32)
    found = cost.expected.constant + cost.expected.tables["cell"][np.arange(6), at(np.arange(5**6), OPTIONS)].sum(1)
    rounding = 1e-4 if unit > 1 else 0  # the benchmark's MFLOPs have six digits
    assert np.abs(found / unit - table().column("cifar10", column)).max() < rounding + 1e-9


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize(
    "space", [darts.space(nodes=2), nasbench201.space(nodes=3), fbnet.space(size="tiny")], ids=lambda space: space.name
)
def test_the_cost_of_a_one_hot_mix_is_that_of_its_network(name, space):
    cost = find.resolve("cost", name)(space, SMALL, 16)
    for seed in range(2):
        genotype = random(space, seed)
        assert cost.expected.of(genotype, space) == cost.of(genotype) > 0
        assert float(cost.expected(as_mix(genotype, space))) == pytest.approx(cost.of(genotype), rel=1e-6)


def test_the_cost_of_probabilities_is_the_mean_over_all_architectures(float64):
    names = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3")
    space = with_operations(nasbench201.space(nodes=3), {"cell": (names[1:], names[:2], (names[0], names[2]))})
    cost = find.resolve("cost", "multiply_adds")(space, replace(SMALL, cells=1), 8)
    mix = jax.nn.softmax(jax.random.normal(jax.random.key(0), (3, 2), jnp.float64))
    total = mean = 0.0
    for genotype in every(space):
        probability = float((as_mix(genotype, space)["cell"] * mix).sum(1).prod())
        total, mean = total + probability, mean + probability * cost.of(genotype)
    assert total == pytest.approx(1) and len(list(every(space))) == 8
    assert float(cost.expected({"cell": mix})) == pytest.approx(mean, rel=1e-12)
    gradient = jax.grad(cost.expected)({"cell": mix})["cell"]
    np.testing.assert_array_equal(gradient, cost.expected.tables["cell"])
    wider = jnp.concatenate([mix, jnp.ones((3, 1))], 1)
    assert float(cost.expected({"cell": wider})) == float(cost.expected({"cell": mix}))
    costs = [cost.of(genotype) for genotype in every(space)]
    assert cost.expected.bounds(space) == (min(costs), max(costs))


def test_activations_by_hand():
    """Of a 3x3 convolution on every edge: 5 outputs of the cells, stem, two reductions and the classes."""
    space = nasbench201.space(nodes=2, operations="nor_conv_3x3")
    cost = find.resolve("cost", "activation_memory:bits=8")(space, NetworkSize(1, 4, 10), 8)
    reductions = 3 * 8 * 4 * 4 + 3 * 16 * 2 * 2
    expected = 4 * 64 + (4 * 64 + 8 * 16 + 16 * 4) + reductions + 10
    assert cost.of(random(space, 0)) == expected and cost.unit == "bytes"
    assert (
        find.resolve("cost", "activation_memory")(space, NetworkSize(1, 4, 10), 8).of(random(space, 0)) == 4 * expected
    )


@pytest.mark.parametrize(
    "space, size",
    [
        (tabular.space(layers=2), NetworkSize(1, 8, 3, inputs=(5,))),
        (rnn.space(nodes=2), NetworkSize(1, 8, 11, vocabulary=11)),
        (text.space(size="tiny"), NetworkSize(1, 8, 3, inputs=(5,), vocabulary=11)),
    ],
    ids=["tabular", "rnn", "text"],
)
def test_other_networks_are_counted_whole_and_their_mixes_are_refused(space, size):
    genotype = random(space, 0)
    cost = find.resolve("cost", "parameters")(space, size, 0)
    assert cost.of(genotype) == of_network(genotype, space, size).parameters > 0
    if space.name == "tabular":
        widths = [int(8 * float(edge.operation)) for edge in genotype.cell("width").edges]
        dense = sum((a + 1) * b for a, b in zip([5, *widths], [*widths, 3], strict=True))
        assert cost.of(genotype) >= dense
    with pytest.raises(UserError, match="'parameters' of the space .* is no sum over its decisions"):
        _ = cost.expected


def test_the_least_cost_of_cells_that_keep_some_edges_is_not_made_up():
    space = darts.space(nodes=2)
    with pytest.raises(UserError, match="'darts' keep some of their edges"):
        Additive(0, {kind: np.zeros(shape) for kind, shape in space.mix_shapes.items()}).bounds(space)
