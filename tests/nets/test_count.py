"""Parameters and multiply-adds: published numbers, and a count of the whole network without the cells' shortcut."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from dnas import find
from dnas.architectures import zoo
from dnas.architectures.genotype import parse, random
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets import count as counting
from dnas.nets import work
from dnas.nets.count import Counts, count, of_network
from dnas.nets.functional import functionalize
from dnas.nets.layers import dense_conv, separable_conv
from dnas.nets.network import Network
from dnas.nets.work import multiply_adds
from dnas.spaces import darts, nasbench201

CIFAR, IMAGENET = NetworkSize(20, 36, 10), NetworkSize(14, 48, 1000, stem="imagenet")


def test_darts_v2_costs_what_its_authors_say():
    """3.3M parameters, 528M and 574M: exact numbers by quark0/darts, run under PyTorch."""
    genotype, space = parse("DARTS_V2"), darts.space()
    assert count(genotype, space, CIFAR, 32) == Counts(3_349_342, 3_825_768, 528_359_040)
    assert count(genotype, space, IMAGENET, 224) == Counts(4_718_752, 5_979_528, 529_911_552)


@pytest.mark.parametrize("name", zoo.names()[::9])
def test_published_cells_cost_what_the_zoo_says(name):
    entry = zoo.entry(name)
    if entry.parameters is None or entry.genotype.space != "darts":
        pytest.skip("its cost is not known exactly")
    counts = count(entry.genotype, darts.space(), CIFAR, 32)
    assert (counts.parameters, counts.multiply_adds) == (entry.parameters, entry.multiply_adds)


@pytest.mark.parametrize(
    "text, parameters",
    [  # D-X-Y/AutoDL-Projects, 16 channels and 5 cells a stage
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|", 1_288_506),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 73_306),
    ],
)
def test_nasbench201(text, parameters):
    counts = count(parse(text), nasbench201.space(), NetworkSize(5, 16, 10), 32)
    assert counts.parameters == counts.parameters_with_auxiliary == parameters


@pytest.mark.parametrize("space, cells", [(darts.space(), 7), (nasbench201.space(), 2)], ids=["darts", "nasbench201"])
def test_cells_traced_once_are_all_cells(space, cells):
    genotype, size = random(space, 1), NetworkSize(cells, 4, 10, loop=True)
    network = functionalize(lambda rngs: Network(genotype, space, size, rngs=rngs))
    weights, stats = jax.eval_shape(network.init, jax.random.key(0))
    jaxpr = jax.make_jaxpr(partial(network.apply, train=False))(weights, stats, jnp.zeros((1, 15, 15, 3)))
    counts = count(genotype, space, size, 15)
    assert counts.multiply_adds == multiply_adds(jaxpr.jaxpr) > 0
    assert counts.parameters == sum(leaf.size for leaf in jax.tree.leaves(weights))


def test_images_may_be_wider_than_high():
    """What a task says of its inputs counts, unless costs are asked of other images."""
    for name, space in (("cells", nasbench201.space()), ("chain", find.resolve("space", "proxyless:size=tiny"))):
        size, genotype = NetworkSize(1, 2, 3, 1, inputs=(9, 14, 1)), random(space, 1)
        loop = replace(size, loop=True)
        whole = work.traced(
            lambda rngs, space=space, genotype=genotype, loop=loop: space.network(genotype, space, loop, rngs=rngs),
            lambda network, x: network(x).logits,
            jax.ShapeDtypeStruct((1, 9, 14, 1), jnp.float32),
        )
        assert of_network(genotype, space, size, 9).multiply_adds == whole.multiply_adds, name
        square = replace(size, inputs=())
        assert of_network(genotype, space, size, 8) == of_network(genotype, space, square, 8)
        assert of_network(genotype, space, square, 9).multiply_adds < whole.multiply_adds


CHAINS = ("fbnet", "mnasnet", "ofa", "proxyless", "spos")


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_costs_what_its_network_costs_as_a_whole(name):
    space, size = find.resolve("space", f"{name}:size=tiny"), NetworkSize(1, 1, 3)
    genotype = random(space, 5)
    whole = work.traced(
        lambda rngs: space.network(genotype, space, size, rngs=rngs),
        lambda network, x: network(x).logits,
        jax.ShapeDtypeStruct((1, 9, 9, 3), jnp.float32),
    )
    assert of_network(genotype, space, size, 9) == whole and min(whole[:3]) > 0


def test_networks_of_blocks_that_are_known_are_counted_without_a_trace(monkeypatch):
    space, size = find.resolve("space", "ofa:size=tiny"), NetworkSize(1, 1, 7)
    text = "ofa(kernel=[{0}, {0}, {0}, {0}], depth=[2, 2], expansion=[{1}, {1}, {1}, {1}])"
    known = [of_network(parse(text.format(k, e)), space, size, 8) for k in "35" for e in "23"]
    monkeypatch.setattr(counting, "traced", None)
    costs = [of_network(random(space, seed), space, size, 8) for seed in range(20)]
    assert min(cost.multiply_adds for cost in costs) < known[0].multiply_adds  # a stage of one block
    assert len({cost.parameters for cost in costs}) > 10
    with pytest.raises(TypeError):
        of_network(random(space, 0), space, size, 9)


def test_multiply_adds_by_hand():
    x = jnp.zeros((1, 8, 8, 3))

    def counted(function, *args):
        return multiply_adds(jax.make_jaxpr(function)(*args).jaxpr)

    assert counted(lambda k: dense_conv(x, k, (2, 2), (1, 1)), jnp.zeros((3, 3, 3, 5))) == 4 * 4 * 3 * 3 * 3 * 5
    assert counted(separable_conv, x, jnp.zeros((3, 3, 3)), jnp.zeros((3, 5))) == 8 * 8 * (3 * 3 * 3 + 3 * 5)
    assert counted(jnp.matmul, jnp.zeros((2, 7)), jnp.zeros((7, 5))) == 2 * 7 * 5
    inner = jax.jit(lambda a, b: a @ b)
    scanned = lambda a: jax.lax.scan(lambda c, _: (inner(c, a), None), a, None, length=3)[0]  # noqa: E731
    assert counted(scanned, jnp.zeros((4, 4))) == 3 * 4**3


def test_a_genotype_of_another_space_is_refused():
    with pytest.raises(UserError, match="cells"):
        count(parse("DARTS_V2"), nasbench201.space(), NetworkSize(1, 4, 10), 32)
