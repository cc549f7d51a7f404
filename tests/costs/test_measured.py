"""Measured latency: a table has a time for every operation where it stands, and agrees with whole networks."""

import os
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.genotype import parse, random
from dnas.architectures.topology import NetworkSize, Norm
from dnas.cli import main
from dnas.costs import latency, latency_blocks, latency_table, measured, published
from dnas.costs.latency import sizes_of
from dnas.costs.latency_table import LatencyTable
from dnas.costs.measured import Timing
from dnas.errors import UserError
from dnas.nets.count import of_network
from dnas.nets.functional import functionalize
from dnas.spaces import darts, fbnet, mnasnet, nasbench201, ofa, tabular


def parameters(build, x):
    """In the place of a program: what can be known exactly. It looks at the shapes that arrive."""
    network = functionalize(build)
    weights, stats = jax.eval_shape(network.init, jax.random.key(0))
    jax.eval_shape(lambda w, s, x: network.apply(w, s, x, train=False), weights, stats, x)
    return float(sum(leaf.size for leaf in jax.tree.leaves(weights)))


def counted(counts, calls, shown):
    return [measured.NO_TIME if count is None else Timing(count, 1.0) for count in counts]


@pytest.mark.parametrize(
    "space", [darts.space(nodes=2), nasbench201.space(nodes=3), fbnet.space(size="tiny")], ids=lambda space: space.name
)
def test_a_table_adds_up_to_the_network(space, monkeypatch):
    monkeypatch.setattr(measured, "compiled", parameters)
    monkeypatch.setattr(measured, "in_turns", counted)
    monkeypatch.setattr(latency, "live", lambda genotype: genotype)  # all parameters count
    size = NetworkSize(3, 4, 10)
    table, found = measured.measure(space, size, 16, batch=2, fitted=2, networks=3)
    additive = table.of_space(space, sizes_of(space, size, 16))
    for seed in range(2):
        genotype = random(space, seed)
        assert additive.of(genotype, space) == of_network(genotype, space, size, 16).parameters
    assert table.batch == 2 and "cores" in table.device
    np.testing.assert_array_equal(found.predicted, found.measured)
    assert found.accuracy.error == 0 and found.accuracy.correlation == pytest.approx(1)
    with pytest.raises(UserError, match="measured with image_size 16, and these networks have 8"):
        table.of_space(space, {"image_size": 8})


@pytest.mark.parametrize(
    "space",
    [
        ofa.space(size="tiny", resolutions="8+16"),
        pytest.param(mnasnet.space(size="tiny", filters="1"), marks=pytest.mark.slow),
    ],
    ids=lambda space: space.name,
)
def test_a_table_of_blocks_adds_up_to_the_network(space, monkeypatch, tmp_path):
    monkeypatch.setattr(measured, "compiled", parameters)
    monkeypatch.setattr(measured, "in_turns", counted)
    size = NetworkSize(1, 1, 10)
    table, found = measured.measure(space, size, 16, fitted=2, networks=3)
    latency_table.write(table, tmp_path / "table.json")
    cost = find.resolve("cost", f"latency:table={tmp_path / 'table.json'}")(space, size, 16)
    for seed in range(20):
        genotype = random(space, seed)
        assert cost.of(genotype) == of_network(genotype, space, size, 16).parameters
    assert found.accuracy.error == 0 and "each block by itself" in cost.about
    with pytest.raises(UserError, match="measured with image_size 16, and these networks have 8"):
        latency.of_table(table, space, size, 8)
    with pytest.raises(UserError, match="is no sum over its decisions"):
        _ = cost.expected


def test_a_table_without_some_blocks_is_refused():
    space, size = ofa.space(size="tiny"), NetworkSize(1, 1, 10)
    names = [*latency_blocks.every(space, size, 16)]
    assert len(names) == len({*names}) == 1 + 3 * 4 + 3, "a stem, two places with the same inputs, and a head"
    table = LatencyTable("ofa", "a phone", {}, "by hand", sizes={"image_size": 16}, blocks=dict.fromkeys(names, 1.0))
    genotype = random(space, 0)
    assert latency.of_table(table, space, size, 16).of(genotype) == len(space.chain_of(genotype).cells[0][1].edges)
    torn = replace(table, blocks=dict.fromkeys(names[1:], 1.0))
    with pytest.raises(UserError, match="has no block 'conv3_c8_hswish of 16x16x3'"):
        latency.of_table(torn, space, size, 16)
    with pytest.raises(UserError, match="of the space 'ofa', not of 'mnasnet'"):
        latency.of_table(table, mnasnet.space(size="tiny"), size, 16)
    with pytest.raises(UserError, match="has for 'dense' -1, expected a time"):
        replace(table, blocks={"dense": -1.0})


def test_spaces_without_operations_on_images_are_refused():
    with pytest.raises(UserError, match="in image spaces only, not in 'tabular'"):
        measured.measure(tabular.space(), NetworkSize(1, 8, 3, inputs=(5,)), 8)


def test_a_factor_makes_networks_of_sums(monkeypatch):
    """Others are fitted than are predicted."""
    space, size = nasbench201.space(nodes=3), NetworkSize(1, 4, 10)
    monkeypatch.setattr(measured, "compiled", parameters)
    monkeypatch.setattr(latency, "live", lambda genotype: genotype)

    def doubled(counts, calls, shown):  # the last four are networks; two of them are predicted
        factors = [1.0] * (len(counts) - 4) + [4, 4, 2, 2]
        return [Timing(factor * (count or 0), 1.0) for factor, count in zip(factors, counts, strict=True)]

    monkeypatch.setattr(measured, "in_turns", doubled)
    table, found = measured.measure(space, size, 16, fitted=2, networks=2)
    assert found.accuracy.error == 0.5 and "times 2, the median of 2 networks" in table.how


def test_a_larger_operation_takes_longer():
    build = partial(nasbench201.space().operations["nor_conv_3x3"], 32, 1, Norm(affine=True, pools=True))
    programs = [
        measured.compiled(lambda rngs: build(rngs=rngs), jnp.zeros((1, pixels, pixels, 32))) for pixels in (4, 64)
    ]
    small, none, large = measured.in_turns([programs[0], None, programs[1]], 5)
    assert large.median > small.median >= 0 and large.spread >= 0
    assert none == (0, 0)


def test_what_reaches_no_output_takes_no_time(tmp_path):
    space = nasbench201.space(nodes=3)
    rows = {"cell": [{name: 1.0 for name in names} | {"none": 0.0} for names in space.cells["cell"].operations]}
    latency_table.write(latency_table.LatencyTable("nasbench201", "here", rows, "made up"), tmp_path / "t.json")
    cost = latency.cost(table=str(tmp_path / "t.json"))(space, NetworkSize(3, 4, 10), 16)
    for text, milliseconds in {
        "|nor_conv_1x1~0|+|nor_conv_1x1~0|nor_conv_1x1~1|": 3,
        "|nor_conv_1x1~0|+|nor_conv_1x1~0|none~1|": 1,
        "|none~0|+|nor_conv_1x1~0|nor_conv_1x1~1|": 2,
    }.items():
        genotype = parse(text)
        assert cost.of(genotype) == milliseconds <= cost.expected.of(genotype, space)


SPACE = "nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1"


@pytest.mark.slow
def test_the_command_writes_a_table_and_checks_it(tmp_path, capsys):
    sizes = [
        "--cells",
        "1",
        "--channels",
        "4",
        "--image-size",
        "8",
        "--calls",
        "3",
        "--check",
        "2",
        "--cores",
        "0",
        "--fit",
        "1",
    ]
    assert main(["latency", SPACE, "--out", str(tmp_path / "here.json"), *sizes]) == 0
    out = capsys.readouterr().out
    assert "2 networks: median error" in out and out.count("network ") == 2
    table = latency_table.read(tmp_path / "here.json")
    assert [set(row) for row in table.cells["cell"]] == [{"skip_connect", "nor_conv_1x1"}]
    assert table.constant > 0 and table.sizes["channels"] == 4


@pytest.mark.parametrize(
    "options, says",
    [
        ([], "--out needs a file name that ends in .json"),
        (["--out", "here.txt"], "in a folder that exists, not 'here.txt'"),
        (["--out", "here.json", "--calls", "0"], "--calls must be at least 1"),
        (["--out", "here.json", "--fit", "-1"], "--fit must be at least 0"),
        (["--out", "here.json", "--cores", "1000"], "--cores is 1000, and there are"),
        (["--out", "here.json", "--image-size", "0"], "--image-size must be at least 1"),
        (["--out", "here.json", "--device", "pixel3"], "of the space 'fbnet' only, not of 'nasbench201'"),
        (["--out", "here.json", "--device", "pixel3", "--check", "3"], "not on pixel3: leave out one of both"),
        (["--out", "here.json", "--device", "pixel3", "--image-size", "64"], "--image-size is of measuring on this"),
    ],
)
def test_what_does_not_fit_is_said(options, says, capsys):
    assert main(["latency", "nasbench201", *options]) == 2
    assert says in capsys.readouterr().err


def test_a_system_without_affinity_is_told_so(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity")
    measured.pinned(0)
    with pytest.raises(UserError, match="this system keeps no process to some of its cores: give --cores 0"):
        measured.pinned(1)


@pytest.mark.parametrize("option", ["--cells", "--channels"])
def test_sizes_that_a_chain_has_not_are_refused(option, tmp_path, capsys):
    assert main(["latency", "fbnet:size=tiny", "--out", str(tmp_path / "here.json"), option, "3"]) == 2
    assert f"leave out {option}" in capsys.readouterr().err


@pytest.mark.skipif(published.locate().found is None, reason="HELP's archive is not here: set DNAS_SHARED")
@pytest.mark.parametrize("device", ["pixel3", "cpu"])
def test_tables_of_others_are_written(device, tmp_path):
    path = tmp_path / "table.json"
    assert main(["latency", "fbnet", "--device", device, "--out", str(path)]) == 0
    table = latency_table.read(path)
    assert table.device == device and len(table.cells["block"]) == 22
