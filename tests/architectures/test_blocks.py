"""Blocks as words, chains of them, compound scaling, and the published networks with their exact costs."""

import pytest

from dnas.architectures import blocks, zoo
from dnas.architectures.blocks import Block, blocks_of, genotype_of, parse, placed, write
from dnas.architectures.genotype import parse as parse_genotype
from dnas.architectures.genotype import to_text
from dnas.architectures.scaling import scaled
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.count import count
from dnas.spaces import chain, ofa

SIZE = NetworkSize(1, 1, 1000)


def test_a_word_says_all_of_a_block():
    assert parse("mb5_e6_c24_s2_se4_g2_swish_nores") == Block(
        "mb", 5, expansion=6, channels=24, stride=2, squeeze=4, groups=2, activation="swish", residual=False
    )
    assert parse("conv3_c8_se4_res") == Block("conv", 3, channels=8, squeeze=4, added=True)
    assert parse("mb3_e4_c8_s2_convres") == Block("mb", 3, 4, channels=8, stride=2, projected=True)
    assert parse("mb3_e1_poolres") == Block("mb", 3, pooled=True) and not parse("mb3_e1_nores").residual
    assert parse("mb3_h88_c24_se4h") == Block("mb", 3, hidden=88, channels=24, squeeze=4, of_hidden=True)
    assert parse("dense_c64_hswish_nobias") == Block("dense", channels=64, activation="hswish", bias=False)
    assert parse("skip") == Block("skip") and parse("conv1_c8_linear").activation == "linear"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("mb3_c24_e6", r"The block 'mb3_c24_e6' is written 'mb3_e6_c24'\."),
        ("mb3_c24", "is written 'mb3_e1_c24'"),
        ("mb4_e6", "has a kernel of 4x4 pixels: choose an odd size"),
        ("bottleneck_c24", "begins with 'bottleneck', expected mb3, conv3"),
        ("conv3_e6", r"'e6' is no part of a conv block \(channels, stride, squeeze, activation, res\)"),
        ("conv3_c8_c8", "'c8' stands twice"),
        ("mb3_e1_res", "'res' is no part of a mb block"),
        ("mb3_e1_nores_poolres", "'poolres' stands twice"),
        ("conv3_c8_convres", "'convres' is no part of a conv block"),
        ("skip_c8", "'c8' is no part of a skip block"),
        ("mb3_e6_s3", "'s3' is no part of a mb block"),
    ],
)
def test_a_wrong_word_is_explained(word, says):
    with pytest.raises(UserError, match=says):
        parse(word)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "needs one at least"),
        ("conv3_c8 pool mb3_e1", "Block 3, mb3_e1, reads an image, and stands behind the mean"),
        ("dense_c8 conv3_c8", "Block 2, conv3_c8, reads an image"),
        ("logits logits", "Block 1, logits, is the classifier: let it be the last"),
        ("conv3_c9 shuffle3_c9", "The block shuffle3_c9 gets 9 channels: at stride 1 it keeps an even number"),
        ("conv3_c8 shuffle3_c8_s2", "at stride 2 it gives more"),
        ("conv3_c9 mb3_e1_c8_g2", "projects 9 channels to 8 in 2 groups"),
    ],
)
def test_a_chain_that_cannot_be_built_is_refused(words, says):
    with pytest.raises(UserError, match=says):
        placed([*map(parse, words.split())])


def test_the_mean_and_the_classifier_are_added_where_they_belong():
    chain = placed([*map(parse, ["conv3_c8_s2", "mb3_e6_c16_s2", "dense_c32"])])
    assert [place.block.kind for place in chain] == ["conv", "mb", "pool", "dense", "logits"]
    assert [(place.inputs, place.reduced) for place in chain] == [(3, 1), (8, 2), (16, 4), (16, 4), (32, 4)]


def test_only_a_list_of_blocks_is_a_chain():
    with pytest.raises(UserError, match=r"a list of blocks, tabular\(block=\[...\]\)"):
        blocks_of(parse_genotype("tabular(width=[1], activation=[relu])"))


def test_scaling_rounds_widths_and_repeats_the_last_block_of_a_stage():
    chain = [parse(word) for word in ["conv3_c32_s2", "mb3_e1_c16", "mb3_e6_c24_s2", "mb5_e6_c24", "skip", "conv1_c64"]]
    words = [write(block) for block in scaled(chain, 1.5, 1.4)]
    assert words == (
        ["conv3_c48_s2", "mb3_e1_c24", "mb3_e1_c24", "mb3_e6_c40_s2", "mb5_e6_c40", "skip", "skip", "skip", "conv1_c96"]
    )
    assert scaled(chain, 1, 1)[:2] == chain[:2]


@pytest.mark.parametrize("name", zoo.networks())
def test_a_published_network_is_written_and_costs_exactly_this(name):
    """EfficientNet-B1 to B7 are B0 scaled; those of torchvision and of the papers are in the next test."""
    entry = zoo.entry(name.replace("_", "-").upper())
    assert entry.name == name
    assert parse_genotype(to_text(entry.genotype)) == parse_genotype(name) == entry.genotype
    assert genotype_of("chain", [write(block) for block in blocks_of(entry.genotype)]) == entry.genotype
    counts = count(entry.genotype, chain.space(), SIZE, entry.pixels)
    assert (counts.parameters, counts.multiply_adds) == (entry.parameters, entry.multiply_adds)


KNOWN = {  # what others counted: ../shared/oracles/mobile and ofa, torchvision for MobileNetV2 and V3
    "efficientnet_b0": (5_288_548, 385_814_752),
    "efficientnet_b3": (12_233_232, 1_827_141_392),
    "efficientnet_b7": (66_347_960, 37_745_884_192),
    "mnasnet_a1": (3_887_038, 311_579_072),
    "mnasnet_b1": (4_383_312, 314_415_872),
    "mnasnet_small": (2_030_264, 68_339_184),
    "mobilenet_v2": (3_504_872, 300_774_272),
    "mobilenet_v3_large": (5_483_032, 216_589_760),
    "mobilenet_v3_small": (2_542_856, 56_510_400),
    "proxyless_gpu": (7_119_848, 465_260_160),
    "fbnet_a": (4_304_584, 244_452_664),
    "fbnet_c": (5_570_664, 378_136_224),
    "ofa_d4_e6_k7": (7_664_760, 566_170_656),
    "ofa_d2_e3_k3": (3_410_792, 41_476_224),
}
PUBLISHED = {  # millions of multiply-adds, as their authors print them
    "spos": 323,
    "ofa_595m": 595,
    "ofa_482m": 482,
    "ofa_389m": 389,
    "attentivenas_a0": 203,
    "attentivenas_a1": 279,
    "attentivenas_a2": 317,
    "attentivenas_a3": 357,
    "attentivenas_a4": 444,
    "attentivenas_a5": 491,
    "attentivenas_a6": 709,
}


def test_the_costs_are_those_that_others_counted():
    for name, known in KNOWN.items():
        assert (zoo.entry(name).parameters, zoo.entry(name).multiply_adds) == known, name
    for name, millions in PUBLISHED.items():
        assert round(zoo.entry(name).multiply_adds / 1e6) == millions, name
    assert 3.5e6 <= zoo.entry("spos").parameters < 3.6e6 and 9.1e6 <= zoo.entry("ofa_595m").parameters < 9.2e6
    assert [round(zoo.entry(f"ofa_{m}m").parameters / 1e6, 1) for m in (482, 389)] == [9.1, 8.4]


OFA = {  # width, kernels, depths, expansions
    "ofa_d4_e6_k7": (1.0, "7" * 20, "44444", "6" * 20),
    "ofa_d2_e3_k3": (1.0, "3" * 20, "22222", "3" * 20),
    "ofa_595m": (1.2, "3533" + "5535" + "7535" + "3573" + "3353", "34444", "3433" + "4463" + "6634" + "6664" + "6663"),
    "ofa_482m": (1.2, "5333" + "5353" + "5533" + "5735" + "7333", "34444", "3333" + "4443" + "4633" + "6664" + "6663"),
    "ofa_389m": (1.2, "3333" + "5533" + "5533" + "5533" + "3373", "23344", "3333" + "3633" + "4433" + "6444" + "6663"),
}


@pytest.mark.parametrize("name", OFA)
def test_sub_networks_of_once_for_all_are_those_of_its_space(name):
    width, *options = OFA[name]
    cells = zip(("kernel", "depth", "expansion"), map(", ".join, options), strict=True)
    genotype = parse_genotype(f"ofa({', '.join(f'{kind}=[{values}]' for kind, values in cells)})")
    chain = ofa.space(width=width, resolutions="none").chain_of(genotype)
    assert blocks.words(chain) == [*blocks.words(zoo.entry(name).genotype), "logits"]


def test_a_chain_is_one_line_and_its_image_shrinks():
    genotype = genotype_of("chain", ["conv3_c16_s2", "mb3_e6_c24_s2", "skip"])
    assert to_text(genotype) == "chain(block=[conv3_c16_s2, mb3_e6_c24_s2, skip])"
    assert blocks.reduction(genotype) == 4
