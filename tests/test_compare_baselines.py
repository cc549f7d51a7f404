"""Baselines of a comparison: architectures that nobody searched for, trained as what is found; and texts, measured."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

import dnas.reports.plots
import dnas.retrain
from dnas import compare
from dnas.architectures.genotype import parse, to_json
from dnas.blackbox.config import BlackboxConfig
from dnas.compare import Baseline, Protocol, searches, trainings
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig
from dnas.errors import UserError
from dnas.runs import loop

PLAIN = AugmentConfig(pad=1, flip=False)
BASE = Config(
    space="nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1",
    data="digits:limit=200",
    seeds=2,
    seed=7,
    search=SearchConfig(epochs=1, cells=1, channels=2, batch_size=32, augment=PLAIN),
    retrain=RetrainConfig(epochs=1, cells=1, channels=2, batch_size=32, auxiliary=0, drop_path=0, augment=PLAIN),
)
FOUND, BY_HAND = parse("|skip_connect~0|"), parse("|nor_conv_1x1~0|")
TRANSLATION = replace(BASE, space="transformer:reads=both,size=tiny", data="multi30k", task="translation")


@pytest.fixture
def trained(monkeypatch):
    """Trainings whose score is their first seed; gives what was asked for."""
    asked = []

    def run(config, genotype, out, **_):
        asked.append((genotype, config.seed, config.seeds))
        out.mkdir(parents=True)
        return dnas.retrain.Result(out, genotype, (config.seed / 100,), 1)

    monkeypatch.setattr(dnas.retrain, "run", run)
    monkeypatch.setattr(dnas.reports.plots, "plot_comparison", lambda *_: None)
    monkeypatch.setattr(
        searches, "searched", lambda name, config, *_: compare.Row(name, config, [FOUND] * 2, 6, [], [])
    )
    return asked


def test_a_baseline_costs_nothing_and_has_a_score_for_each_of_its_seeds(trained, tmp_path):
    configs = {"darts": BASE, "by hand": Baseline("|nor_conv_1x1~0|", seeds=3, seed=1)}
    for _ in range(2):  # the second time all is read
        rows = {row.name: row for row in compare.run(configs, tmp_path / "out", random_cells=0, quiet=True)}
        assert trained == [(FOUND, 7, 1), *((BY_HAND, seed, 1) for seed in (1, 2, 3))]
    assert rows["darts"].trained == [0.07, 0.07] and rows["by hand"].trained == [0.01, 0.02, 0.03]
    assert rows["by hand"].cost == {}
    header, lines = compare.cells([*rows.values()])
    line = dict(zip(header, next(line for line in lines if line[0] == "by hand"), strict=True))
    assert (line["seeds"], line["distinct cells"], line["search s"], line["tuning"]) == ("3", "1", "-", "-")


def test_with_several_trainings_of_a_cell_no_two_of_a_baseline_share_a_seed(trained, tmp_path):
    configs = {"darts": BASE, "by hand": Baseline("|nor_conv_1x1~0|", seeds=2)}
    compare.run(configs, tmp_path / "out", random_cells=0, protocol=Protocol(train_seeds=3), quiet=True)
    assert trained[1:] == [(BY_HAND, 0, 3), (BY_HAND, 3, 3)]


def test_a_baseline_may_be_the_cells_of_a_search(tmp_path):
    file = tmp_path / "genotype.json"
    file.write_text("|skip_connect~0|\n|nor_conv_1x1~0|\n")
    found = Baseline(str(file), seeds=2, seed=4)
    assert found.genotypes == [FOUND, FOUND, BY_HAND, BY_HAND] and found.seeds_of(1) == [4, 5, 4, 5]
    assert [to_json(genotype) for genotype in Baseline("|nor_conv_1x1~0|").genotypes] == [to_json(BY_HAND)]


@pytest.mark.parametrize("genotype, said", [("|conv_9x9~0|", "conv_9x9"), ("", "genotype"), ("DARTS_V2", "cells")])
def test_a_baseline_of_another_space_is_refused_by_its_name(genotype, said, tmp_path):
    with pytest.raises(UserError, match=f"^'by hand' is refused: .*{said}"):
        compare.run({"darts": BASE, "by hand": Baseline(genotype)}, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_baselines_alone_are_no_comparison(tmp_path):
    with pytest.raises(UserError, match="All rows are baselines"):
        compare.check({"by hand": Baseline("|nor_conv_1x1~0|")}, tmp_path / "out")
    searcher = BlackboxConfig("random_search", budget="2000s", runs=2)
    with pytest.raises(UserError, match="none says how found cells are trained"):
        compare.check({"by hand": Baseline("9930"), "random": searcher}, tmp_path / "out")
    compare.check({"by hand": Baseline("9930"), "random": searcher}, tmp_path / "out", train=False)
    with pytest.raises(UserError, match="^'by hand' is refused: .*cells"):
        compare.run({"by hand": Baseline("DARTS_V2"), "random": searcher}, tmp_path / "out", train=False, quiet=True)
    assert not (tmp_path / "out").exists()


def test_translations_are_compared_by_what_they_write(trained, tmp_path, monkeypatch):
    """Settings are chosen by perplexity either way; a second start reads what was measured."""
    read = []

    def load(folder, seed):
        read.append(seed)
        return SimpleNamespace(evaluate=lambda: SimpleNamespace(measures={"bleu": 10.0 + seed, "chrf": 1.0}))

    monkeypatch.setattr(trainings, "load", load)
    monkeypatch.setattr(loop, "forget_programs", lambda: None)
    row = compare.Row("one", TRANSLATION, [FOUND], 0.0, [], [])
    for _ in range(2):
        score = trainings.trainings([row], BASE, Protocol(measure="bleu", train_seeds=3), tmp_path, True)
        assert score(row)[0].test == 18.0 and (score(row)[0].measure.name, score(row)[0].measure.more) == ("bleu", True)
        assert read == [7, 8, 9]


def test_what_cannot_be_measured_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"measure of a comparison.*'blue'.*bleu"):
        Protocol(measure="blue")
    with pytest.raises(UserError, match="Compared is bleu, of networks that write texts"):
        compare.check({"darts": BASE}, tmp_path / "out", protocol=Protocol(measure="bleu"))
