"""The size space of NATS-Bench: the supernet by masks against the derived network, counts by hand, refusals."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures import choices, encoding
from dnas.architectures.genotype import as_mix, parse, to_text
from dnas.architectures.topology import NetworkSize
from dnas.config import Config, RetrainConfig, SearchConfig
from dnas.data import load
from dnas.errors import UserError
from dnas.nets.count import candidates, count
from dnas.nets.functional import functionalize
from dnas.proxies import protocol
from dnas.spaces import nats_size
from dnas.tasks import binding

SIZE, SPACE = NetworkSize(1, 1, 3), nats_size.space(size="tiny")


def test_there_are_as_many_as_published():
    space = nats_size.space()
    assert encoding.count(space) == 32_768 and choices.choices(space)[0] == (8,) * 5
    genotype = parse("nats_size(channels=[8, 16, 64, 8, 8])")
    assert to_text(genotype) == "nats_size(channels=[8, 16, 64, 8, 8])"
    assert choices.encode(genotype, space).tolist() == [0, 1, 7, 0, 0]
    assert choices.decode(np.array([0, 1, 7, 0, 0]), space) == genotype


@pytest.mark.slow
def test_the_derived_network_is_the_supernet_of_its_own_mix():
    """Its weights are the first channels of the supernet's; of a skip that is one, it lacks the projection."""
    genotype = parse("nats_size(channels=[16, 8, 24, 16, 16])")
    supernet = functionalize(lambda rngs: SPACE.supernet(SPACE, SIZE, rngs=rngs))
    network = functionalize(lambda rngs: SPACE.network(genotype, SPACE, SIZE, norm=SPACE.search_norm, rngs=rngs))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 8, 3)), jnp.float32)
    wide = jax.jit(supernet.init)(jax.random.key(0))

    def cut(own, theirs):
        if isinstance(own, dict):
            return {name: cut(own[name], theirs[name]) for name in own}
        return theirs[tuple(map(slice, own.shape))]

    own = [cut(*trees) for trees in zip(jax.jit(network.init)(jax.random.key(1)), wide, strict=True)]
    narrow, moments = jax.jit(lambda: network.apply(*own, x, train=True))()
    for paths in ("all", "one"):
        chosen = replace(SPACE, paths=paths)
        supernet = functionalize(lambda rngs, chosen=chosen: chosen.supernet(chosen, SIZE, rngs=rngs))
        mix = as_mix(genotype, SPACE)
        logits, seen = jax.jit(lambda net=supernet, mix=mix: net.apply(*wide, x, mix, train=True))()
        np.testing.assert_allclose(narrow.logits, logits, rtol=1e-4, atol=1e-5)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), moments, cut(moments, seen))
    assert np.ptp(np.asarray(logits)) > 1e-3
    slope = jax.grad(lambda mix: supernet.apply(*wide, x, mix, train=True)[0].var())(mix)["channels"]
    assert (np.abs(slope).sum(-1) > 0).all()


def test_a_network_counts_to_its_formula():
    widths, pixels = (8, 16, 16, 8, 24), (32, 16, 16, 8, 8)
    parameters, before = 27 * 8 + 2 * 8, 8
    multiply_adds = 27 * 8 * 32 * 32
    for layer, (c, side) in enumerate(zip(widths, pixels, strict=True)):
        if layer % 2:
            kernels, norms = 9 * before * c + 9 * c * c + before * c, 2
        else:
            projects = before != c
            kernels, norms = 2 * 9 * before * c + 3 * 9 * c * c + projects * before * c, 5 + projects
        parameters += kernels + norms * 2 * c
        multiply_adds += kernels * side * side
        before = c
    parameters += 2 * before + before * 10 + 10
    text = f"nats_size(channels=[{', '.join(map(str, widths))}])"
    found = count(parse(text), nats_size.space(), NetworkSize(1, 1, 10), 32)
    assert (found.parameters, found.multiply_adds) == (parameters, multiply_adds + before * 10)


def test_what_does_nothing_or_does_not_fit_is_refused():
    with pytest.raises(UserError, match="What an option of 'nats_size' costs depends on its other decisions"):
        candidates(SPACE, SIZE, 8)
    with pytest.raises(UserError, match="those of 'nats_size' choose widths"):
        protocol.check(SPACE)
    with pytest.raises(UserError, match="Partial channels and entangled weights are those of cells"):
        space = replace(SPACE, partial_channels=4)
        functionalize(lambda rngs: space.supernet(space, SIZE, rngs=rngs))
    for stage, plan in (("search", SearchConfig(channels=24)), ("retrain", RetrainConfig(drop_path=0.3))):
        config = Config(space="nats_size", **{stage: plan})
        with pytest.raises(UserError, match=f"{stage}..* does nothing in networks of the space 'nats_size'"):
            binding.bind(load("digits"), config, stage, find.resolve("space", config.space))
