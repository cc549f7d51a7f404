"""MnasNet's space: decisions of blocks, the chains that follow from them, and the published networks."""

from math import prod

import numpy as np
import pytest
from flax import nnx

from dnas import find, search
from dnas.architectures import choices, encoding, zoo
from dnas.architectures.blocks import blocks_of
from dnas.architectures.genotype import check, parse, random, to_text
from dnas.architectures.genotype_data import of_decisions
from dnas.architectures.topology import NetworkSize
from dnas.blackbox.config import BlackboxConfig
from dnas.blackbox.run import run as run_blackbox
from dnas.config import AugmentConfig, Config, RetrainConfig
from dnas.errors import UserError
from dnas.nets.count import candidates, count
from dnas.spaces import layers, mnasnet

TINY = (
    "mnasnet(operation=[conv, mb3], kernel=[5, 3], squeeze=[0.25, 0], skip=[identity, pool], filters=[8, 16], "
    "layers=[2, 3])"
)
A1 = (
    "separable 3 0 16 1, mb6 3 0 24 2, mb3 5 0.25 40 3, mb6 3 0 80 4, mb6 3 0.25 112 2, mb6 5 0.25 160 3, mb6 3 0 320 1"
)
B1 = "separable 3 0 16 1, mb3 3 0 24 3, mb3 5 0 40 3, mb6 5 0 80 3, mb6 3 0 96 2, mb6 5 0 192 4, mb6 3 0 320 1"


def published(text):
    names = ("operation", "kernel", "squeeze", "filters", "layers")
    rows = [dict(zip(names, row.split(), strict=True)) for row in text.split(", ")]
    order = ("operation", "kernel", "squeeze", "skip", "filters", "layers")
    return of_decisions("mnasnet", [{name: (row | {"skip": "identity"})[name] for name in order} for row in rows])


def test_a_network_is_the_chain_of_its_decisions():
    space, genotype = mnasnet.space(size="tiny"), parse(TINY)
    check(genotype, space)
    assert to_text(genotype) == TINY
    assert to_text(layers.whole(genotype, space)) == (
        "chain(block=[conv3_c8_s2, conv5_c8_se4_res, conv5_c8_se4_res, mb3_e3_c16_s2_poolres, mb3_e3_c16_poolres, "
        "mb3_e3_c16_poolres, conv1_c32])"
    ).replace("conv3_c8_s2", "conv3_c8")


@pytest.mark.parametrize(("name", "text"), [("mnasnet_a1", A1), ("mnasnet_b1", B1)])
def test_published_networks_have_shares_of_1_2(name, text):
    space, entry, genotype = mnasnet.space(filters="0.75+1+1.2"), zoo.entry(name), published(text)
    assert layers.whole(genotype, space) == entry.genotype
    assert choices.decode(choices.encode(genotype, space), space) == genotype
    counts = count(genotype, space, NetworkSize(1, 1, 1000), entry.pixels)
    assert (counts.parameters, counts.multiply_adds) == (entry.parameters, entry.multiply_adds)


def test_the_space_of_the_paper_has_a1_but_for_one_width():
    with pytest.raises(UserError, match="Unknown filters of block 5 of 'mnasnet': '112'"):
        layers.whole(published(A1), mnasnet.space())
    near = layers.whole(published(A1.replace("112", "120")), mnasnet.space())
    pairs = zip(blocks_of(near), blocks_of(zoo.entry("mnasnet_a1").genotype), strict=True)
    assert {(own.channels, theirs.channels) for own, theirs in pairs if own != theirs} == {(120, 112)}


def test_there_are_as_many_as_combinations():
    """Two widths in the first two blocks and two depths where MobileNetV2 has one layer: rows of unlike lengths."""
    each = 4 * 2 * 2 * 3
    assert encoding.count(mnasnet.space()) == prod(
        each * f * n for f, n in zip((2, 2, 3, 3, 3, 3, 3), (2, 3, 3, 3, 3, 3, 2), strict=True)
    )
    space = mnasnet.space(size="tiny")
    for seed in range(20):
        genotype = random(space, seed)
        assert choices.decode(choices.encode(genotype, space), space) == genotype == parse(to_text(genotype))
    assert len(list(encoding.neighbours(genotype, space))) == sum(n - 1 for n in choices.choices(space)[0])


@pytest.mark.slow
def test_a_network_computes_and_takes_drop_path():
    """A factor for every block of the chain."""
    space, genotype = mnasnet.space(size="tiny"), parse(TINY)
    network = space.network(genotype, space, NetworkSize(1, 1, 3), rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    logits = network(x).logits
    assert logits.shape == (2, 3) and np.isfinite(logits).all() and np.ptp(np.asarray(logits)) > 0
    dropped = network(x, np.ones((1, 7, 2), np.float32)).logits
    np.testing.assert_allclose(dropped, logits, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_it_is_searched_by_training(tmp_path):
    retraining = RetrainConfig(epochs=1, batch_size=16, auxiliary=0.0, drop_path=0.1, augment=AugmentConfig())
    config = Config(space="mnasnet:size=tiny", data="digits:limit=64", retrain=retraining)
    (tmp_path / "mine.py").write_text(f"from dnas.config import *\n\ndef config():\n    return {config!r}\n")
    searched = BlackboxConfig("random_search", f"train:config={tmp_path}/mine.py", budget="2evaluations", runs=1)
    result = run_blackbox(searched, tmp_path / "run")
    check(result.found[0], mnasnet.space(size="tiny"))


@pytest.mark.parametrize("method", ["darts", "spos"])
def test_methods_are_refused(method, tmp_path):
    config = Config(space="mnasnet:size=tiny", method=method)
    with pytest.raises(UserError, match="The space 'mnasnet' has no supernet, .*: search it with dnas blackbox"):
        search.run(config, tmp_path / "run")


def test_single_options_have_no_cost():
    with pytest.raises(UserError, match="What an option of 'mnasnet' costs depends on its other decisions"):
        candidates(mnasnet.space(), NetworkSize(1, 1, 10), 32)


@pytest.mark.parametrize("filters", ["", "1+1", "0.75+x", "0+1"])
def test_wrong_shares(filters):
    with pytest.raises(UserError, match="are no shares of those of MobileNetV2"):
        find.resolve("space", f"mnasnet:filters={filters}")


def test_wrong_genotypes():
    space = mnasnet.space(size="tiny")
    with pytest.raises(UserError, match="once for each of 7 blocks"):
        layers.whole(parse(TINY), mnasnet.space())
    with pytest.raises(UserError, match="Unknown layers of block 1 of 'mnasnet': '3'"):
        layers.whole(parse(TINY.replace("layers=[2, 3]", "layers=[3, 3]")), space)
