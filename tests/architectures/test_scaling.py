"""Compound scaling: coefficients, the grid they are found in, and what becomes of chains and of cells."""

import math

import pytest

from dnas.architectures import zoo
from dnas.architectures.blocks import genotype_of
from dnas.architectures.scaling import Coefficients, Factors, Network, grid, scaled_network, scaled_side
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError

SIZE = NetworkSize(20, 36, 1000)


@pytest.mark.parametrize("name", zoo.scalings())
def test_the_published_factors_of_b0_make_the_published_networks(name):
    base, wanted = zoo.entry("efficientnet_b0"), zoo.entry(name)
    found = scaled_network(Network(base.genotype, SIZE, base.pixels), zoo.scalings()[name], chain=True)
    assert (found.genotype, found.pixels) == (wanted.genotype, wanted.pixels)


def test_the_formula_is_the_papers_and_the_published_factors_are_near_it():
    """Nearest by depth: 1.8 for B3, 6.2 for B7, as experiments/efficientnet.py says."""
    paper = Coefficients()
    assert paper.growth == pytest.approx(1.2 * 1.1**2 * 1.15**2)
    assert paper.at(2) == pytest.approx((1.1**2, 1.2**2, 1.15**2))
    published = zoo.scalings()
    for name, phi in (("efficientnet_b3", 1.8), ("efficientnet_b7", 6.2)):
        assert math.log(published[name].depth, paper.alpha) == pytest.approx(phi, abs=0.05)
        assert paper.at(phi).width < published[name].width


@pytest.mark.parametrize("step, count", [(0.5, 3), (0.2, 9), (0.1, 25)])
def test_the_grid_is_all_that_doubles(step, count):
    found = grid(step)
    assert len({*found}) == len(found) == count
    for each in found:
        assert each.growth == pytest.approx(2) and min(each) >= 1
        for value in (each.alpha, each.beta):
            assert (value - 1) / step == pytest.approx(round((value - 1) / step))


def test_phi_0_changes_nothing_not_even_channels_that_are_no_multiple_of_8():
    chain = genotype_of("chain", ["conv3_c30_s2", "mb3_e3_c30", "mb3_e6_c44_s2"])
    assert scaled_network(Network(chain, SIZE, 32), Coefficients().at(0), chain=True) == Network(chain, SIZE, 32)
    cell = zoo.entry("darts_v2").genotype
    odd = Network(cell, NetworkSize(7, 17, 10), 32)
    assert scaled_network(odd, Coefficients().at(0), chain=False) == odd


def test_what_stands_behind_the_mean_over_the_image_stays():
    """Also where no word says that mean, which is counted among the blocks then."""
    chain = genotype_of("chain", ["conv3_c16", "mb3_e1_c16", "dense_c32_hswish", "logits_nobias"])
    words = ["conv3_c24", "mb3_e1_c24", "dense_c48_hswish", "logits_nobias"]
    assert scaled_network(Network(chain, SIZE, 32), Factors(1.5, 1, 1), chain=True).genotype == genotype_of(
        "chain", words
    )


def test_a_chain_that_resizes_its_images_does_so_at_the_scaled_resolution():
    """As networks of the space `ofa` do, whatever the images are."""
    chain = genotype_of("chain", ["resize128", "conv3_c16_s2", "mb3_e3_c24", "logits"])
    found = scaled_network(Network(chain, SIZE, 224), Factors(1.5, 2, 1.5), chain=True)
    words = ["resize192", "conv3_c24_s2", "mb3_e3_c40", "mb3_e3_c40", "logits"]
    assert found == Network(genotype_of("chain", words), SIZE, 336)
    odd = genotype_of("chain", ["resize30", "conv3_c16_s2"])
    with pytest.raises(UserError, match="30 pixels is not divisible by 4"):
        scaled_network(Network(odd, SIZE, 32), Factors(1, 1, 1.5), chain=True)


def test_of_cells_their_number_and_the_channels_of_the_first_are_scaled():
    cell = zoo.entry("darts_v2").genotype
    found = scaled_network(Network(cell, SIZE, 32), Factors(1.2, 1.31, 1.2), chain=False)
    assert found == Network(cell, NetworkSize(27, 44, 1000), 40)


def test_what_cannot_be_scaled_is_refused():
    with pytest.raises(UserError, match="225 pixels is not divisible by 4, .*: choose 224 or 228"):
        scaled_side(225, 1.2)
    cell = zoo.entry("darts_v2").genotype
    with pytest.raises(UserError, match="has 20,480 cells, more than 1,000: choose a smaller phi"):
        scaled_network(Network(cell, SIZE, 32), Coefficients(2.0, 1.0, 1.0).at(10), chain=False)
