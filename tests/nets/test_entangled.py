"""Entangled weights: the mix of sub-kernels, by linearity; and derived cells inside of an entangled one."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas import find, interop
from dnas.architectures.genotype import as_mix, parse, random
from dnas.architectures.topology import Cell, NetworkSize
from dnas.errors import UserError
from dnas.nets.entangled import Entangled, together
from dnas.nets.functional import functionalize, plain
from dnas.nets.layers import Conv, SeparableConv
from dnas.nets.network import DerivedCell
from dnas.nets.ops import OPERATIONS
from dnas.nets.supernet import MixedCell, Supernet
from dnas.search.supernets import DroppedSkip
from dnas.spaces import darts, nasbench201

NB201 = replace(nasbench201.space(), entangled=True)
DARTS = replace(darts.space(nodes=2), entangled=True)
C = 4


@pytest.fixture(autouse=True)
def always(float64):
    pass


def drawn(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def convolved(x, kernel, stride, dilation, groups):
    """As PyTorch pads; kernel HWIO."""
    pads = [(dilation * (k // 2),) * 2 for k in kernel.shape[:2]]
    numbers, steps = ("NHWC", "HWIO", "NHWC"), (stride, stride)
    return jax.lax.conv_general_dilated(
        x, kernel, steps, pads, rhs_dilation=(dilation,) * 2, dimension_numbers=numbers, feature_group_count=groups
    )


def middle(kernel, shape):
    """The middle of the first two axes, as large as those of `shape`."""
    top, left = (kernel.shape[0] - shape[0]) // 2, (kernel.shape[1] - shape[1]) // 2
    return kernel[top : top + shape[0], left : left + shape[1]]


@pytest.mark.parametrize(
    "dilation, stride",
    [(0, 1), (2, 2), *(pytest.param(d, s, marks=pytest.mark.slow) for d, s in ((0, 2), (1, 1), (1, 2), (2, 1)))],
)
def test_without_a_norm_it_is_the_mix_of_separate_convolutions(dilation, stride):
    """1x1, 3x3 and 5x5 on two of four edges; another operation stands between them in the mix. Dilation 0: dense."""

    def build(size, rngs):
        if dilation:
            return SeparableConv(C, C, size, stride=stride, dilation=dilation, rngs=rngs)
        return Conv(C, C, size, stride=stride, bias=True, rngs=rngs)

    edges, columns = [1, 3], [[0, 0], [2, 3], [3, 2]]
    builds = [partial(build, size) for size in (3, 1, 5)]
    together = Entangled(builds, edges, columns, (4, 4), False, rngs=nnx.Rngs(0))
    kept = plain(nnx.state(together.operation, nnx.Param))
    assert {leaf.shape[1] for leaf in jax.tree.leaves(kept) if leaf.ndim > 3} == {5}, "there are kernels of their own"
    x, mix = drawn(2, 7, 6, C), jax.nn.softmax(drawn(4, 4, seed=1))

    def value(mix):
        total, values = together.weighed(x, mix, None)
        return total[:, None, None, None, None] * values

    def expected(mix):
        rows = []
        for k, e in enumerate(edges):
            row = 0.0
            for size, places in zip((3, 1, 5), columns, strict=True):
                if dilation:
                    kernel = middle(kept["depthwise"][k], (size, size))[:, :, None]
                    one = convolved(x, kernel, stride, dilation, C) @ kept["pointwise"][k]
                else:
                    one = convolved(x, middle(kept["kernel"][k], (size, size)), stride, 1, 1) + kept["bias"][k]
                row += mix[e, places[k]] * one
            rows.append(row)
        return jnp.stack(rows)

    np.testing.assert_allclose(value(mix), expected(mix), rtol=1e-12, atol=1e-12)
    slopes = [np.asarray(jax.grad(lambda mix, f=f: (f(mix) ** 2).sum())(mix)) for f in (value, expected)]
    np.testing.assert_allclose(*slopes, rtol=1e-9, atol=1e-12)
    assert np.abs(slopes[0][[1, 3]]).max() > 0.1 and not slopes[0][[0, 2]].any()


def shared(space, kind="cell"):
    def build(name, rngs):
        return space.operations[name](C, 1, space.search_norm, rngs=rngs)

    return together(space.cells[kind], 0, build)


def test_what_differs_in_kernel_size_only_is_together():
    assert list(shared(NB201)) == [
        ("none",),
        ("skip_connect",),
        ("nor_conv_1x1", "nor_conv_3x3"),
        ("avg_pool_3x3",),
    ]
    assert [names for names in shared(DARTS, "normal") if len(names) > 1] == [
        ("sep_conv_3x3", "sep_conv_5x5"),
        ("dil_conv_3x3", "dil_conv_5x5"),
    ]
    assert all(users == [0, 1, 3] for users in shared(nasbench201.space()).values())


def test_what_differs_otherwise_is_apart():
    """Kernels of which none is the middle of the other, of one size, of another stride, bias or dilation, noisy."""
    norm = NB201.search_norm
    operations = {
        "wide": lambda c, s, n, *, rngs: Conv(c, c, (1, 3), rngs=rngs),
        "high": lambda c, s, n, *, rngs: Conv(c, c, (3, 1), rngs=rngs),
        "even": lambda c, s, n, *, rngs: Conv(c, c, 2, rngs=rngs),
        "strided": lambda c, s, n, *, rngs: Conv(c, c, 5, stride=2, rngs=rngs),
        "biased": lambda c, s, n, *, rngs: Conv(c, c, 5, bias=True, rngs=rngs),
        "dilated": lambda c, s, n, *, rngs: SeparableConv(c, c, 3, dilation=2, rngs=rngs),
        "separable": lambda c, s, n, *, rngs: SeparableConv(c, c, 5, rngs=rngs),
        "again": lambda c, s, n, *, rngs: SeparableConv(c, c, 5, rngs=rngs),
        "noisy": lambda c, s, n, *, rngs: DroppedSkip(Conv(c, c, 1, rngs=rngs), True),
        "noisier": lambda c, s, n, *, rngs: DroppedSkip(Conv(c, c, 3, rngs=rngs), True),
        "none": OPERATIONS["none"],
    }
    cell = Cell(inputs=1, nodes=1, edges=((1, 0),), operations=(tuple(operations),))
    found = together(cell, 0, lambda name, rngs: operations[name](C, 1, norm, rngs=rngs))
    assert list(found) == [(name,) for name in operations]


def test_edges_with_other_operations_share_among_theirs():
    operations = (("nor_conv_1x1", "nor_conv_3x3"), ("nor_conv_3x3", "none"), ("none", "nor_conv_3x3", "nor_conv_1x1"))
    cell = Cell(inputs=1, nodes=3, edges=((1, 0), (2, 0), (3, 0)), operations=operations)
    space = replace(NB201, cells={"cell": cell})
    assert shared(space) == {
        ("nor_conv_1x1", "nor_conv_3x3"): [0],
        ("nor_conv_3x3",): [1],
        ("none",): [1, 2],
        ("nor_conv_3x3", "nor_conv_1x1"): [2],
    }
    mixed = MixedCell(space, "cell", C, False, rngs=nnx.Rngs(0))
    assert mixed([drawn(2, 4, 4, C)], (jnp.full((3, 3), 0.5), None)).shape == (2, 4, 4, C)


def cells(space, kind, genotype):
    """An entangled cell, and the derived one of a genotype with its weights and statistics, which no training gave."""
    mixed = MixedCell(space, kind, C, False, rngs=nnx.Rngs(0))
    derived = DerivedCell(genotype, space, kind, C, space.search_norm, rngs=nnx.Rngs(1))
    for candidate in mixed.candidates:
        stats = plain(nnx.state(candidate, nnx.BatchStat))
        nnx.update(candidate, nnx.State(jax.tree.map(lambda leaf: jnp.abs(drawn(*leaf.shape)) + 0.1, stats)))
    cell, copied = space.cells[kind], 0
    for edge, operation in zip(genotype.cell(kind).edges, derived.operations, strict=True):
        e = cell.edges.index((edge.node, edge.source))
        for candidate in (c for c in mixed.candidates if e in c.edges):
            at = candidate.edges.index(e)
            columns = candidate.members if isinstance(candidate, Entangled) else (candidate.columns,)
            if edge.operation not in {cell.operations[e][own[at]] for own in columns} or operation is None:
                continue
            copied += 1
            source, target = (flatten_dict(plain(nnx.state(m))) for m in (candidate.operation, operation))
            for path, leaf in target.items():
                own = source[path] if candidate.shared else source[path][at]
                target[path] = own if own.shape == leaf.shape else middle(own, leaf.shape)
            nnx.update(operation, nnx.State(unflatten_dict(target)))
    assert copied == sum(operation is not None for operation in derived.operations)
    return mixed, derived


TEXTS = [
    "|nor_conv_1x1~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    "|avg_pool_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_1x1~0|skip_connect~1|nor_conv_1x1~2|",
]
DERIVED = [
    (NB201, "cell", parse(TEXTS[0])),
    *(
        pytest.param(*row, marks=pytest.mark.slow)
        for row in (
            (NB201, "cell", parse(TEXTS[1])),
            (DARTS, "normal", random(DARTS, 1)),
            (DARTS, "reduce", random(DARTS, 3)),
        )
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("space, kind, genotype", DERIVED, ids=["nasbench201", "nones", "normal", "reduce"])
def test_a_derived_cell_is_the_entangled_one_with_a_one_hot_mix(space, kind, genotype):
    mixed, derived = cells(space, kind, genotype)
    convolutions = {edge.operation for edge in genotype.cell(kind).edges if "conv" in edge.operation}
    assert len(convolutions) > 1
    inputs = [drawn(2, 6, 6, C, seed=s) for s in range(space.cells[kind].inputs)]
    mix = jnp.asarray(as_mix(genotype, space)[kind])
    for evaluates in (False, True):
        ours, theirs = (nnx.view(m, use_running_average=evaluates, raise_if_not_found=False) for m in (mixed, derived))
        expected = theirs(inputs, (None, None))
        np.testing.assert_allclose(ours(inputs, (mix, None)), expected, rtol=1e-9, atol=1e-9)
        assert np.ptp(expected) > 0.1


@pytest.mark.slow
def test_vmapped_edges_are_a_loop_and_none_is_left_out_of_the_gradient():
    cell, inputs = NB201.cells["cell"], [drawn(2, 5, 5, C)]

    def run(loop):
        network = functionalize(lambda rngs: MixedCell(NB201, "cell", C, loop, rngs=rngs))
        weights, stats = jax.jit(network.init)(jax.random.key(0))

        def loss(mix, weights):
            y, moments = network.apply(weights, stats, inputs, (mix, None), train=True)
            return (y**2 * jnp.arange(y.size).reshape(y.shape)).sum(), moments

        step = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
        return lambda mix: step(mix, weights)

    runs, some = [run(False), run(True)], jax.nn.softmax(drawn(*cell.mix_shape))
    for mix, rows in ((some, slice(None)), (some.at[0].set(0), 0)):
        found = [one(mix) for one in runs]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7), *found)
        _, (to_mix, _) = found[0]
        assert np.isfinite(to_mix).all() and (np.abs(to_mix[rows, ..., 1:]) > 1e-6).all()


def test_what_entangled_weights_cannot_be_is_refused():
    with pytest.raises(UserError, match="computes all operations"):
        Supernet(replace(NB201, paths="one"), NetworkSize(1, C, 3), rngs=nnx.Rngs(0))
    with pytest.raises(UserError, match="no counterpart in the PyTorch"):
        interop.layout(lambda rngs: Supernet(NB201, NetworkSize(1, C, 3), rngs=rngs))
    with pytest.raises(UserError, match="Unknown sampling of method 'tanglenas'"):
        find.resolve("method", "tanglenas:sampling=gumbel")
