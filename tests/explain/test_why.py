"""`dnas why` on the folder of a search: what it writes, what it prints, what it refuses."""

import json
import re
from dataclasses import replace
from itertools import islice

import pytest

import dnas
from dnas import cli, explain, find
from dnas.architectures import encoding
from dnas.architectures.genotype import Genotype
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig
from dnas.errors import UserError
from dnas.evaluators import train
from dnas.explain import neighbours
from dnas.explain.run import Asked, read
from dnas.runs import records

PLAIN = AugmentConfig(pad=0, flip=False)
CONFIG = Config(
    space="tabular:layers=1,widths=0.5+1,activations=relu,skips=none+identity,norms=none+layer,dropouts=0",
    method="gdas",
    data="wine",
    seeds=2,
    search=SearchConfig(epochs=2, cells=1, channels=4, batch_size=32, augment=PLAIN),
    retrain=RetrainConfig(
        epochs=9, batch_size=32, channels=4, cells=1, auxiliary=0.0, drop_path=0.0, valid_portion=0.3, augment=PLAIN
    ),
)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    return dnas.search.run(CONFIG, tmp_path_factory.mktemp("searched") / "run", quiet=True)


@pytest.mark.slow
def test_it_writes_what_it_says(searched, capsys):
    assert cli.main(["why", str(searched.folder), "--quiet", "--seed", "1"]) == 0
    out, said = capsys.readouterr().out, read(searched.folder)
    assert said["sentence"] in " ".join(out.split()) and out.endswith("report.html\n")
    assert (said["seed"], said["epoch"], said["score"]) == (1, 2, {"name": "accuracy", "more": True})
    assert dnas.architectures.genotype.from_json(said["genotype"]) == searched.genotypes[1]
    assert said["base"]["mix"] is None and "one operation at a time" in said["reasons"]["in_mix"]
    assert said["curvature"] is None and "one operation at a time" in said["reasons"]["curvature"]
    assert said["trained"] is None and "--retrained" in said["reasons"]["trained"]
    mix = [row for row in records.read_mix(searched.folder) if row["seed"] == 1]
    for one in said["decisions"]:
        names = mix[-1]["mix"][one["kind"]][one["name"]]
        assert one["options"] == list(names) and one["mix"] == pytest.approx(list(names.values()))
        assert len(one["entropy"]) == len(mix) == 2 and sum(one["seeds"].values()) == 2
        assert (one["in_found"] is None) == (len(names) == 1) and one["in_mix"] is None
        if one["in_found"]:
            own = {
                name: values[one["options"].index(one["found"])] for name, values in one["in_found"]["replaced"].items()
            }
            assert own == pytest.approx(said["base"]["found"])
    evaluator = dnas.evaluators.supernet.evaluator(run=str(searched.folder), number=1)
    architecture = dnas.architectures.choices.encode(searched.genotypes[1], evaluator.space)
    (measures, _), base = evaluator.evaluate(architecture, 1.0, 0), said["base"]["found"]
    assert (base["score"], base["loss"]) == pytest.approx((measures["accuracy"], measures["loss"]), rel=1e-5)
    same = sum(a == b for a, b in zip(*(edges_of(genotype) for genotype in searched.genotypes), strict=True))
    assert said["stability"]["distances"] == [[0, 1, pytest.approx(1 - same / 5)]]


def edges_of(genotype):
    return [edge for _, cell in genotype.cells for edge in cell.edges]


@pytest.mark.parametrize(
    "options, says",
    [
        (["--neighbours", "3"], "add --retrained EPOCHS"),
        (["--batches", "-1"], "--batches must be .*, not -1"),
        (["--retrained", "-1"], "--retrained must be .*, not -1"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(tmp_path, options, says, capsys):
    assert cli.main(["why", str(tmp_path), *options]) == 2
    assert re.search(says, capsys.readouterr().err)


def test_what_is_no_search_is_refused(tmp_path, capsys):
    assert cli.main(["why", str(tmp_path)]) == 2
    assert "holds no run: name the folder of a search" in capsys.readouterr().err


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "why.json").write_text("{")
    with pytest.raises(UserError, match="why.json is damaged, it is not JSON: write it again with dnas why"):
        read(tmp_path)


def test_trainings_are_not_repeated_and_failed_ones_are_left_out(tmp_path, monkeypatch):
    space, done = find.resolve("space", CONFIG.space), list[Genotype]()
    genotypes = [*islice(encoding.every(space), 3)]

    def measured(config, genotype):
        assert (config.retrain.epochs, config.seeds, config.retrain.valid_portion) == (3, 1, 0.3)
        done.append(genotype)
        if len(done) == 2:
            raise KeyboardInterrupt
        if len(done) == 4:
            raise UserError("The loss became NaN or infinite at step 3.")
        return {"accuracy": len(done) / 10, "loss": 1.0, "parameters": 3}

    monkeypatch.setattr(train, "measured", measured)
    monkeypatch.setattr(train, "check", lambda *_: None)

    def trained(epochs=3):
        return neighbours.trained(tmp_path, CONFIG, genotypes, epochs, quiet=True)

    with pytest.raises(KeyboardInterrupt):
        trained()
    for _ in range(2):
        assert [one and one["accuracy"] for one in trained()] == [0.1, 0.3, None]
        assert done == [genotypes[0], genotypes[1], genotypes[1], genotypes[2]]
    lines = (tmp_path / neighbours.JOURNAL).read_text().splitlines()
    assert [json.loads(line)["epochs"] for line in lines] == [3, 3, 3]
    with pytest.raises(AssertionError):
        trained(epochs=2)  # which are others


@pytest.mark.slow
def test_neighbours_are_trained(searched):
    with pytest.raises(UserError, match="seed"):
        explain.run(searched.folder, 7, quiet=True)
    said = explain.run(searched.folder, asked=Asked(epochs=1, most=1), quiet=True)["trained"]
    fit = replace(CONFIG, seeds=1, retrain=replace(CONFIG.retrain, epochs=1))
    assert said["found"] == pytest.approx(train.measured(fit, searched.genotypes[0]))
    assert said["of"] == 1 and said["neighbours"][0]["measures"]["loss"] != said["found"]["loss"]
