"""`dnas scale`: what it says of published networks, of cells and of runs, and what it refuses."""

import json
from dataclasses import replace

import pytest

from dnas import cli, find
from dnas.architectures import scaling
from dnas.architectures.genotype import parse, random, read, to_json
from dnas.architectures.scaling import Coefficients, Network
from dnas.architectures.topology import NetworkSize
from dnas.cli import scale
from dnas.config import Config, RetrainConfig, to_dict
from dnas.errors import UserError
from dnas.evaluators import compound
from dnas.nets.count import of_network
from dnas.runs import records

B0, grid = "efficientnet_b0", scaling.grid


@pytest.fixture
def dnas(capsys):
    def run(*arguments):
        code = cli.main(["scale", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def test_a_chain_is_scaled_by_published_factors(dnas):
    code, out, _ = dnas("chain(block=[conv3_c16_s2, mb3_e1_c24, mb3_e1_c24])", "--published", "b3", "--pixels", 16)
    assert code == 0
    assert "width 1.2, depth 1.4, resolution 1.339" in out
    assert "16 -> 20" in out and "3 -> 4" in out
    (line,) = (line for line in out.splitlines() if line.startswith("chain("))
    assert read(line) == read("chain(block=[conv3_c24_s2, mb3_e1_c32, mb3_e1_c32, mb3_e1_c32])")


def test_a_phi_scales_cells_by_their_number_and_channels(dnas):
    code, out, _ = dnas("1835", "--phi", 1, "--channels", 16, "--cells", 5, "--alpha", 1.3, "--beta", 1.2)
    assert code == 0
    assert "alpha 1.3, beta 1.2, gamma 1.15; alpha beta^2 gamma^2 = 2.48" in out
    assert "--retrain.channels 20 --retrain.cells 7" in out  # of 19.2 and 6.5


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--phi", "-1"], "--phi must be at least 0 and at most 10, not -1."),
        (["--phi", "nan"], "--phi must be at least 0"),
        (["--alpha", "0.9"], "--alpha must be at least 1 and at most 2"),
        (["--pixels", "225"], "225 pixels is not divisible by 4"),
        (["--published", "b9"], "Unknown published scaling 'b9'"),
        (["--published", "b3", "--phi", "1"], "--phi does nothing beside --published"),
        (["--published", "b3", "--search"], "--search finds what --published has"),
        (["--search", "--gamma", "1.1"], "--gamma does nothing beside --search"),
        (["--grid", "0.1"], "--grid and --config are of --search"),
        (["--search"], "a genotype does not say how: name an experiment file by --config"),
        (["--channels", "3"], "The blocks of a chain say its widths"),
    ],
)
def test_what_does_nothing_or_cannot_be_is_one_sentence(dnas, arguments, says):
    code, _, err = dnas(B0, *arguments)
    assert code == 2 and err.count("\n") == 1 and says in err, err


def test_only_networks_of_images_whose_sizes_are_no_decisions_are_scaled(dnas):
    code, _, err = dnas("DARTS_V2_rnn", "--phi", 1)
    assert code == 2 and "Compound scaling is of networks of images" in err
    code, _, err = dnas("nats_size(channels=[8, 16, 64, 8, 8])", "--phi", 1)
    assert code == 2 and "say all sizes of its networks" in err


def test_a_run_says_what_its_images_are(tmp_path):
    """Also how many channels they have, which the stem's parameters are of."""
    chain = parse("chain(block=[conv3_c8_s2])")
    (tmp_path / "genotype.json").write_text(json.dumps([to_json(chain)]))
    (tmp_path / "config.json").write_text(json.dumps(to_dict(Config(space="chain"))))
    (tmp_path / "data.json").write_text(json.dumps({"image": [16, 16, 1], "classes": ["a", "b"]}))
    network, *_ = scale._base(scale.Scale(str(tmp_path)))
    assert (network.pixels, network.size.image_channels, network.size.classes) == (16, 1, 2)


def test_the_grid_is_trained_each_with_its_own_size_and_the_best_is_taken(dnas, monkeypatch):
    """Trainings are told apart by their configs; the accuracy here is highest for the widest."""
    seen = []

    def measured(config, genotype):
        seen.append((config.space, config.data, config.retrain.channels, config.retrain.cells))
        return {"accuracy": config.retrain.channels / 100}

    monkeypatch.setattr(compound, "measured", measured)
    network = Network(parse("1835"), NetworkSize(5, 16, 10), 32)
    points = [*compound.search(Config(space="nasbench201", data="digits:limit=80"), network, False, grid(0.5))]
    assert [point.accuracy for point in points] == [0.16, 0.16, 0.16]
    sizes = [(16, 5, 44), (16, 8, 36), (16, 10, 32)]
    assert seen == [("nasbench201", f"digits:limit=80,size={p}", c, n) for c, n, p in sizes]
    large = network._replace(size=replace(network.size, stem="imagenet"))
    plan, _ = compound.planned(Config(space="nasbench201", data="digits"), large, False)
    assert plan.retrain.stem == "imagenet"  # as --stem says
    chain = Network(parse("mobilenet_v2"), NetworkSize(1, 1, 10), 32)
    *_, last = compound.search(Config(data="digits"), chain, True, [Coefficients()])
    assert seen[-1][:2] == ("chain", "digits:size=36") and len(last.network.genotype.cells[0][1].edges) > 19
    with pytest.raises(UserError, match="The data set 'wine' has no setting 'size'"):
        next(compound.search(Config(data="wine"), chain, True, [Coefficients()]))


@pytest.mark.slow
def test_a_grid_search_trains_and_scales(dnas, tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "grid", lambda step: grid(step)[:1])
    file = tmp_path / "mine.py"
    file.write_text(
        "from dnas.config import AugmentConfig, Config, RetrainConfig\n"
        "def config():\n"
        "    plan = RetrainConfig(epochs=1, batch_size=16, drop_path=0.0, augment=AugmentConfig(pad=0))\n"
        "    return Config(data='digits:limit=80', retrain=plan)\n"
    )
    chain = "chain(block=[conv3_c8_s2, conv3_c8])"
    code, out, err = dnas(chain, "--pixels", 8, "--search", "--config", file)
    assert code == 0, err
    assert out.count("validation accuracy") == 1 and "12 pixels" in out
    assert "alpha beta^2 gamma^2 = 2\n" in out and "->" in out


def test_a_genotype_typed_by_hand_has_the_space_that_is_said(dnas):
    space = find.resolve("space", "ofa:size=tiny")
    genotype = random(space, 0)
    code, _, err = dnas(str(genotype), "--phi", 0, "--pixels", 16)
    assert code and "as many options for each decision as 'ofa' has" in err  # of its usual size
    code, out, err = dnas(str(genotype), "--phi", 0, "--pixels", 16, "--space", "ofa:size=tiny")
    cost = of_network(genotype, space, NetworkSize(1, 1, 10, 3), 16)
    assert (code, err) == (0, "")
    assert f"{cost.parameters:,} -> {cost.parameters:,}" in out


@pytest.mark.parametrize("choice", ["fbnet:size=tiny", "ofa:size=tiny,resolutions=16+32", "mnasnet:size=tiny"])
def test_a_found_network_of_layers_costs_what_it_is(dnas, tmp_path, choice):
    """Of decisions that are layers between others, or make blocks together."""
    space = find.resolve("space", choice)
    genotype = random(space, 0)
    config = Config(space=choice, data="digits", retrain=RetrainConfig(cells=1, channels=1))
    with records.create(tmp_path / "run", config, "dnas search"):
        (tmp_path / "run" / "genotype.json").write_text(json.dumps(to_json(genotype)))
        (tmp_path / "run" / "data.json").write_text(json.dumps({"image": [16, 16, 1], "classes": ["0", "1"]}))
    code, out, err = dnas(tmp_path / "run", "--phi", 0)
    cost = of_network(genotype, space, NetworkSize(1, 1, 2, 1), 16)
    assert (code, err) == (0, "")
    assert f"{cost.parameters:,} -> {cost.parameters:,}" in out
    assert f"{cost.multiply_adds:,} -> {cost.multiply_adds:,}" in out
