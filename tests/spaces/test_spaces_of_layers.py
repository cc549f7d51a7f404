"""Spaces of layers: their rows, sizes and mistakes; what they count to is in tests/architectures/test_blocks.py."""

import numpy as np
import pytest

from dnas import find
from dnas.architectures import choices, encoding, zoo
from dnas.architectures.genotype import as_mix, parse, random, to_text
from dnas.architectures.topology import NetworkSize
from dnas.config import Config, SearchConfig
from dnas.data import load
from dnas.errors import UserError
from dnas.nets.count import count
from dnas.proxies import protocol
from dnas.spaces import layers
from dnas.tasks import binding


def test_a_row_says_channels_and_the_stride_of_the_first_layer():
    rows = layers.rows_of("8x1+16x2s2", ["mb3_e1_g2", "skip"], 8)
    assert rows == [
        ["mb3_e1_c8_g2", "skip"],
        ["mb3_e1_c16_s2_g2", "conv1_c16_s2"],  # nothing is left out where the shape changes
        ["mb3_e1_c16_g2", "skip"],
    ]


@pytest.mark.parametrize(
    ("choice", "count"), [("fbnet", 9**22), ("proxyless", 7**21), ("spos", 4**20), ("chain", 4**5)]
)
def test_there_are_as_many_as_published(choice, count):
    space = find.resolve("space", choice)
    assert encoding.count(space) == count


@pytest.mark.parametrize("name", ["fbnet", "proxyless", "spos"])
@pytest.mark.parametrize("size", ["cifar", "tiny"])
def test_every_size_can_be_built_and_its_whole_network_is_a_chain(name, size):
    space = find.resolve("space", f"{name}:size={size}")
    genotype = random(space, 0)
    whole = layers.whole(genotype, space)
    assert to_text(whole).startswith("chain(block=[conv3_")
    own = [edge.operation for edge in genotype.cells[0][1].edges]
    assert " ".join(own) in " ".join(edge.operation for edge in whole.cells[0][1].edges)


def test_the_published_network_of_spos_is_one_of_the_space():
    """By its digits, which are the options, and by what it counts to."""
    space, entry = find.resolve("space", "spos"), zoo.entry("spos")
    genotype = choices.decode(np.array([*map(int, "21012020202300003233")]), space)
    assert layers.whole(genotype, space) == entry.genotype
    assert parse(to_text(genotype)) == genotype and as_mix(genotype, space)["block"].shape == (20, 4)
    counts = count(genotype, space, NetworkSize(1, 1, 1000), entry.pixels)
    assert (counts.parameters, counts.multiply_adds) == (entry.parameters, entry.multiply_adds)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("fbnet:size=cifr", "Unknown size of space 'fbnet': 'cifr'. Did you mean cifar"),
        ("chain:stages=16x", "Cannot read the stage '16x' of '16x': expected channels, layers and a stride"),
        ("chain:blocks=mb3_e3+mb3_e3", "A block stands twice among the candidates"),
        ("chain:blocks=mb3_e3_c8", "The candidate mb3_e3_c8 is no block of any layer: leave out channels"),
        ("chain:blocks=mb3_e3+conv1+skip", "Two candidates of layer 1 are the same block, .*conv1_c16"),
        ("chain:stages=9x2,blocks=shuffle3+mb3_e1", "The block shuffle3_c9 gets 3 channels"),
    ],
)
def test_mistakes_are_one_sentence(choice, says):
    with pytest.raises(UserError, match=says):
        find.resolve("space", choice)


@pytest.mark.parametrize("size", [{"cells": 3}, {"channels": 24}, {"unroll_cells": True}])
def test_sizes_of_cells_do_nothing_and_are_refused(size):
    config = Config(space="fbnet:size=tiny", search=SearchConfig(**{"cells": 1, **size}))
    with pytest.raises(UserError, match=f"search.{next(iter(size))} is .* does nothing .* 'fbnet': leave it out"):
        binding.bind(load("digits"), config, "search", find.resolve("space", config.space))


def test_proxies_do_not_score_them():
    with pytest.raises(UserError, match="those of 'fbnet' are chains of blocks"):
        protocol.check(find.resolve("space", "fbnet"))
