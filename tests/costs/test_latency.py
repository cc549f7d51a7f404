"""Latency by tables: files of our own and what is wrong with some, latencies that others have published."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.encoding import every
from dnas.architectures.genotype import as_mix, random
from dnas.architectures.topology import Cell, NetworkSize
from dnas.costs import latency, published
from dnas.costs.latency_table import LatencyTable, read, write
from dnas.costs.predictors import accuracy
from dnas.costs.protocol import Additive
from dnas.errors import UserError
from dnas.spaces import fbnet, nasbench201, ofa
from dnas.tables import nasbench_macro

LAYERS = ({"identity": 0.5, "mb3_k3": 2.0, "mb6_k5": 4.0}, {"identity": 0.0, "mb3_k3": 1.5, "mb6_k5": 3.25})
CHAIN = replace(
    nasbench_macro.space(),
    name="chain_of_two",
    cells={"block": Cell(1, 2, ((1, 0), (2, 1)), (nasbench_macro.CANDIDATES,) * 2)},
)
TABLE = LatencyTable("chain_of_two", "a phone", {"block": LAYERS}, "by hand", 1.0, sizes={"image_size": 32})
NO_SIZE = NetworkSize(1, 1, 10), 32
needs_files = pytest.mark.skipif(published.locate().found is None, reason="needs hw_latency.tar.xz of DNAS_SHARED")


def built(path, space=CHAIN):
    return find.resolve("cost", f"latency:table={path}")(space, *NO_SIZE)


def test_a_table_of_a_file_is_exact_for_networks_and_their_mixes(tmp_path, float64):
    write(TABLE, tmp_path / "table.json")
    cost = built(tmp_path / "table.json")
    assert (cost.name, cost.unit, cost.about) == ("latency", "ms", "by hand")
    mix = {"block": jax.nn.softmax(jax.random.normal(jax.random.key(1), (2, 3), jnp.float64))}
    mean, times = 0.0, []
    for genotype in every(CHAIN):
        operations = [edge.operation for edge in genotype.cell("block").edges]
        times.append(cost.of(genotype))
        assert times[-1] == 1 + sum(row[name] for row, name in zip(LAYERS, operations, strict=True))
        mean += times[-1] * float((as_mix(genotype, CHAIN)["block"] * mix["block"]).sum(1).prod())
    assert float(cost.expected(mix)) == pytest.approx(mean, rel=1e-12)
    assert cost.expected.bounds(CHAIN) == (min(times), max(times)) == (1.5, 8.25)


def test_a_file_keeps_what_a_table_says(tmp_path):
    table = replace(TABLE, batch=4, spread={"block": [{"identity": 0.25}, {}]})
    write(table, tmp_path / "table.json")
    found = read(tmp_path / "table.json")
    assert found.__dict__ == table.__dict__ | {"cells": {"block": [*LAYERS]}}


def test_microseconds_are_read_as_milliseconds(tmp_path):
    write(TABLE, tmp_path / "table.json")
    content = json.loads((tmp_path / "table.json").read_text()) | {"unit": "us"}
    (tmp_path / "table.json").write_text(json.dumps(content))
    assert read(tmp_path / "table.json").cells["block"][0]["mb6_k5"] == pytest.approx(0.004)


def damaged(change):
    content = {
        "space": "chain_of_two",
        "device": "a phone",
        "unit": "ms",
        "how": "by hand",
        "cells": {"block": [dict(row) for row in LAYERS]},
    }
    change(content)
    return content


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda c: c.pop("space"), "is no latency table, with space, device, unit"),
        (lambda c: c.update(unit="s"), "unit of .* is 's', expected one of ms, us"),
        (
            lambda c: c["cells"]["block"][1].update(mb3_k3=-0.5),
            "for 'mb3_k3' in layer 2 of 'block' -0.5, expected a time",
        ),
        (lambda c: c["cells"]["block"][1].update(mb3_k3="fast"), "layer 2, 'mb3_k3': found 'fast', expected a time"),
        (
            lambda c: c["cells"]["block"][0].update(mb3_k3=float("nan")),
            "for 'mb3_k3' in layer 1 of 'block' nan, expected",
        ),
        (lambda c: c.update(constant=-1), "has a constant of -1, expected a time of at least 0"),
        (lambda c: c.update(constant=10**400), "constant: found 10+.*, expected a time"),
        (
            lambda c: c["cells"]["block"][1].pop("mb6_k5"),
            "no entry for 'mb6_k5' in layer 2 of 'block': measure it anew",
        ),
        (
            lambda c: c["cells"]["block"][0].clear(),
            "no entry for 'identity' in layer 1 of 'block', and 2 more are missing",
        ),
        (lambda c: c["cells"]["block"].pop(), "has 1 layers of 'block', and the space 'chain_of_two' has 2"),
        (lambda c: c.update(cells=[]), "is no latency table"),
        (lambda c: c["cells"].update(block=3), "'block': found 3, expected a list"),
        (
            lambda c: c.update(space="darts"),
            "is of the space 'darts', not of 'chain_of_two': .* dnas latency chain_of_two",
        ),
        (lambda c: c.update(sizes={"image_size": 224}), "measured with image_size 224, and these networks have 32"),
        (lambda c: c.update(batch=0), "'batch' 0"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, change, says):
    (tmp_path / "table.json").write_text(json.dumps(damaged(change)))
    with pytest.raises(UserError, match=says):
        built(tmp_path / "table.json")


def test_a_file_that_is_no_table(tmp_path):
    (tmp_path / "table.json").write_text("{")
    with pytest.raises(UserError, match="table.json is truncated or corrupt .*: give a table that dnas latency wrote"):
        built(tmp_path / "table.json")
    with pytest.raises(UserError, match="Cannot read .*none.json"):
        built(tmp_path / "none.json")


@pytest.mark.parametrize(
    "choice, says",
    [
        ("latency", "needs a table or a device"),
        ("latency:table=a.json,device=raspi4", "needs a table or a device"),
        ("latency:table=a.json,by=mlp", "acts with a device only"),
        ("latency:device=raspi4,by=tree", "Unknown predictor of cost 'latency': 'tree'"),
    ],
)
def test_settings_that_do_not_fit(choice, says):
    with pytest.raises(UserError, match=says):
        find.resolve("cost", choice)


# --- HELP


def chosen_of(genotype, space):
    """The columns of FBNet's options that a network has."""
    edges = genotype.cell("block").edges
    return [names.index(edge.operation) for names, edge in zip(space.cells["block"].operations, edges, strict=True)]


@needs_files
@pytest.mark.parametrize("device", ["pixel3", "raspi4", "eyeriss", "fpga"])
def test_four_devices_are_exact_sums_over_layers(device):
    """A table recovered from 1,000 networks predicts the 4,000 others."""
    known = published.help_latencies("fbnet")
    rows = np.random.default_rng(0).permutation(5000)
    table = published.additive(device, rows[:1000])
    features = published.one_hot(known.operations[rows[1000:]], published.FBNET)
    times = np.array([[row[name] for name in published.FBNET] for row in table.cells["block"]])
    assert times.shape == (22, 9) and (times.min(1) == 0).all() and (times.max(1) > 0).all()
    errors = (table.constant + features @ times.ravel()) / known.on(device)[rows[1000:]] - 1
    assert np.abs(errors).max() < 1e-6


@needs_files
def test_networks_of_fbnet_take_what_the_table_of_a_device_says():
    space, known = fbnet.space(), published.help_latencies("fbnet")
    cost = find.resolve("cost", "latency:device=raspi4")(space, *NO_SIZE)
    genotype = random(space, 0)
    chosen = chosen_of(genotype, space)
    features = published.one_hot(known.operations, published.FBNET)
    solution = np.linalg.lstsq(features[:1000], known.on("raspi4")[:1000], rcond=1e-9)[0].reshape(22, 9)
    assert cost.of(genotype) == pytest.approx(solution[range(22), chosen].sum(), rel=1e-9)
    assert "5,000 networks of HELP" in cost.about
    least, most = cost.expected.bounds(space)
    assert 0 < least < cost.of(genotype) < most


@needs_files
def test_a_learned_latency_of_fbnet(monkeypatch):
    monkeypatch.setattr(latency, "TRAINED", 300)
    space = fbnet.space()
    table, learned = (
        find.resolve("cost", f"latency:device=fpga{by}")(space, *NO_SIZE) for by in ("", ",by=gaussian_process")
    )
    networks = [random(space, seed) for seed in range(20)]
    found = accuracy(*(np.array([cost.of(network) for network in networks]) for cost in (learned, table)))
    assert found.correlation > 0.98 and found.error < 0.01
    with pytest.raises(UserError, match="is no sum over its decisions"):
        _ = learned.expected


@needs_files
def test_a_learned_latency_of_once_for_all(monkeypatch):
    """Networks that were measured, as genotypes of our space, which has more resolutions here than by default."""
    monkeypatch.setattr(latency, "TRAINED", 300)
    space = ofa.space(resolutions="+".join(map(str, published.RESOLUTIONS)))
    cost = find.resolve("cost", "latency:device=titan_rtx_64")(space, *NO_SIZE)
    known = published.help_latencies("ofa")
    networks = [random(space, seed) for seed in range(3)]
    assert known.operations.shape == (5000, 21) and known.on("titan_rtx_64").shape == (5000,)
    kinds = {kind: cell.edges for kind, cell in networks[0].cells}
    assert [len(kinds[kind]) for kind in ("kernel", "depth", "expansion", "resolution")] == [20, 5, 20, 1]
    others = np.random.default_rng(0).permutation(5000)[-100:]
    found = [cost.of(written_as(known.operations[row], networks[0])) for row in others]
    score = accuracy(np.array(found), known.on("titan_rtx_64")[others])
    assert score.correlation > 0.99 and score.error < 0.03
    with pytest.raises(UserError, match="is no sum over its decisions"):
        _ = cost.expected


def written_as(names, genotype):
    """The network of HELP with these names, of which blocks beyond a stage's depth are any; genotype: one alike."""
    blocks = [["3", "3"] if name == "none" else [name[1], name[4]] for name in names[:-1]]
    depths = [str(sum(name != "none" for name in names[4 * stage : 4 * stage + 4])) for stage in range(5)]
    kernels, expansions = zip(*blocks, strict=True)
    chosen = {"kernel": kernels, "depth": depths, "expansion": expansions, "resolution": [names[-1][1:]]}
    cells = tuple(
        (
            kind,
            replace(cell, edges=tuple(e._replace(operation=o) for e, o in zip(cell.edges, chosen[kind], strict=True))),
        )
        for kind, cell in genotype.cells
    )
    return replace(genotype, cells=cells)


@needs_files
@pytest.mark.parametrize(
    "settings, choice, image_size, says",
    [
        ({"size": "tiny"}, "latency:device=v100_1", 224, "width 1 with kernels 3.5.7"),
        ({"width": 1.2}, "latency:device=v100_1", 224, "width 1 with kernels"),
        ({"expansions": "2+3"}, "latency:device=v100_1", 224, "width 1 with kernels"),
        ({"resolutions": "none"}, "latency:device=v100_1", 226, "128 to 224 pixels in steps of 4"),
        ({}, "latency:device=v100", 224, "Unknown device of HELP's latencies: 'v100'. Did you mean v100_"),
        ({}, "latency:device=v100_1,by=table", 224, "leave out by=table"),
    ],
)
def test_once_for_all_as_nobody_measured_it(settings, choice, image_size, says):
    with pytest.raises(UserError, match=says):
        find.resolve("cost", choice)(ofa.space(**settings), NO_SIZE[0], image_size)


@needs_files
def test_every_cell_of_nasbench201_takes_what_was_measured():
    space = nasbench201.space()
    cost = find.resolve("cost", "latency:device=raspi4")(space, NetworkSize(5, 16, 10), 32)
    known = published.help_latencies("nasbench201")
    for seed in range(3):
        genotype = random(space, seed)
        names = [edge.operation for edge in genotype.cell("cell").edges]
        (row,) = np.flatnonzero((known.operations == np.array(names)).all(1))
        assert cost.of(genotype) == known.on("raspi4")[row]
    with pytest.raises(UserError, match="leave out by=mlp"):
        find.resolve("cost", "latency:device=raspi4,by=mlp")(space, *NO_SIZE)
    with pytest.raises(UserError, match="cells of 4 nodes"):
        cost.of(random(nasbench201.space(nodes=3), 0))


@needs_files
def test_unknown_devices_and_spaces():
    with pytest.raises(
        UserError, match=r"Unknown device of HELP's latencies: 'pixel'. Did you mean pixel\d or pixel\d"
    ):
        find.resolve("cost", "latency:device=pixel")(nasbench201.space(), *NO_SIZE)
    with pytest.raises(UserError, match="spaces nasbench201, fbnet, ofa, not of 'chain_of_two'"):
        find.resolve("cost", "latency:device=raspi4")(CHAIN, *NO_SIZE)
    with pytest.raises(UserError, match="22 layers of 9 blocks"):
        find.resolve("cost", "latency:device=raspi4")(replace(CHAIN, name="fbnet"), *NO_SIZE)
    with pytest.raises(UserError, match="Unknown table per operation of FBNet: 'gpu'"):
        published.per_operation("gpu")


# --- tables per operation, and transformers


@needs_files
def test_tables_per_operation():
    space = fbnet.space()
    cpu, pi = published.per_operation("cpu"), published.per_operation("raspi4_32")
    assert cpu.cells["block"][0]["k3_e1"] == pytest.approx(5.129798054695129)
    assert isinstance(published.renamed(cpu, space).of_space(space, {"image_size": 224}), Additive)
    assert pi.cells["block"][0]["k3_e1"] == pytest.approx(10.430441020034777)
    assert [len(row) for row in pi.cells["block"]] == [
        8 if layer in (1, 5, 9, 13, 17, 21) else 9 for layer in range(22)
    ]
    with pytest.raises(UserError, match="no entry for 'conv1_c24_s2' in layer 2 of 'block', and 5 more are missing"):
        published.renamed(pi, space).of_space(space)
    with pytest.raises(UserError, match="measured with image_size 32, and these networks have 224"):
        published.renamed(pi, space).of_space(space, latency.sizes_of(space, NO_SIZE[0], 224))


@pytest.mark.skipif(published.locate(published.HAT_FILE).found is None, reason="needs hat_latency.tar.xz")
def test_transformers_of_hat():
    found = published.hat_latencies("iwslt14deen_gpu_titanxp")
    assert found.features.shape == (2000, 10) and found.names[0] == "encoder_embed_dim"
    assert (found.encoder[0], found.decoder[0]) == (5.495997965335846, 124.5498161315918)
    with pytest.raises(UserError, match="Unknown latency table of HAT: 'iwslt14deen_gpu'"):
        published.hat_latencies("iwslt14deen_gpu")
