"""`dnas zoo`: published architectures with the costs and scores of the zoo, own ones with those of their runs."""

import json
import re

import pytest

from dnas import cli
from dnas.architectures import zoo as published
from dnas.architectures.genotype import random, to_json
from dnas.architectures.topology import NetworkSize
from dnas.config import Config, RetrainConfig
from dnas.nets.count import of_network
from dnas.reports import zoo
from dnas.runs import records
from dnas.spaces import nasbench201

CHOICE = "nasbench201:nodes=3,operations=skip_connect+nor_conv_1x1"
SPACE = nasbench201.space(nodes=3, operations="skip_connect+nor_conv_1x1")
CELLS = list(dict.fromkeys(random(SPACE, seed) for seed in range(9)))[:3]
HOSTILE = "<script>alert(1)</script> & 'a'"


@pytest.fixture
def dnas(capsys):
    def run(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def a_run(folder, genotypes, method, scores, mix):
    """What a run leaves in its folder, as far as it is read here. scores: of every seed."""
    config = Config(
        method=method,
        space=CHOICE,
        data="digits",
        seeds=len(genotypes),
        retrain=RetrainConfig(cells=1, channels=2),
    )
    with records.create(folder, config, f"dnas {method}") as run:
        for seed, score in enumerate(scores):
            run.log({"step": 1, "epoch": 1, "seed": seed, "test_accuracy": score})
    written = [to_json(genotype) for genotype in genotypes]
    (folder / "genotype.json").write_text(json.dumps(written if len(written) > 1 else written[0]))
    about = {"image": [8, 8, 1], "classes": [str(digit) for digit in range(10)]}
    (folder / "data.json").write_text(json.dumps(about | {"score": {"name": "accuracy", "more": True}}))
    if mix:
        (folder / "mix.jsonl").touch()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A search of two seeds, whose second cell was trained twice, and a run with a hostile name, without a score."""
    folder = tmp_path_factory.mktemp("runs")
    a_run(folder / "search", CELLS[:2], "gdas", [], mix=True)
    a_run(folder / "search" / "candidate", CELLS[1:2], "gdas", [0.75], mix=False)
    a_run(folder / "again", CELLS[1:2], "darts", [0.85], mix=False)
    a_run(folder / HOSTILE.replace("/", "_"), CELLS[2:], "darts", [], mix=True)
    return folder


def names(out):
    return [line.split("  ")[0] for line in out.splitlines()[1:] if line and "architecture" not in line]


def test_all_that_is_published_is_listed_with_its_costs(dnas):
    code, out, _ = dnas("zoo", "--json")
    rows = {row["name"]: row for row in map(json.loads, out.splitlines())}
    assert code == 0
    assert [*rows] == [*published.names(), *published.networks(), *published.transformers()]
    assert [rows["DARTS_V2"][key] for key in ("parameters", "multiply_adds", "data", "score")] == [
        3349342,
        528359040,
        "cifar10",
        97.24,
    ]
    assert (rows["efficientnet_b3"]["score"], rows["efficientnet_b3"]["data"]) == (81.6, "imagenet")
    assert "README" in rows["efficientnet_b3"]["score_from"] and rows["mnasnet_small"]["score_from"] is None
    assert rows["DARTS_V2_rnn"]["parameters"] is None and rows["DARTS_V2_rnn"]["data"] == "ptb"


def test_names_patterns_filters_and_orders(dnas):
    assert names(dnas("zoo", "darts-v2", "FBNET_*")[1]) == ["DARTS_V2", "fbnet_a", "fbnet_b", "fbnet_c"]
    out = dnas("zoo", "--data", "imagenet", "--budget", "multiply_adds<3e8", "--sort", "score")[1]
    scores = [float(score) for score in re.findall(r"(\d+\.\d+) %", out)]
    assert len(scores) > 5 and scores == sorted(scores, reverse=True)
    assert names(out)[-1] == "ofa_d2_e3_k3", "what has no score comes last"
    costs = [e.parameters for e in zoo.published() if e.parameters is not None and e.parameters <= 3e6]
    listed = dnas("zoo", "--budget", "parameters<3e6", "--sort", "parameters", "--json")[1]
    assert [json.loads(line)["parameters"] for line in listed.splitlines()] == sorted(costs)
    assert names(dnas("zoo", "--space", "vision_transformer")[1]) == published.transformers()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["DARTS_V9"], ["DARTS_V9", "darts_v2"]),
        (["--space", "dart"], ["darts"]),
        (["--budget", "latency<3"], ["latency", "parameters"]),
        (["--budget", "parameters<3"], ["None of", "parameters<3"]),
        (["--page", "zoo.pdf"], [".html"]),
    ],
)
def test_mistakes_are_a_sentence(dnas, arguments, words):
    code, out, err = dnas("zoo", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert all(word in err for word in words)


def test_a_folder_without_runs_is_refused(dnas, tmp_path):
    code, _, err = dnas("zoo", tmp_path)
    assert code == 2 and "no run" in err


def test_own_cells_are_counted_and_listed_once(runs):
    entries = {entry.name: entry for entry in zoo.found(runs)}
    assert len(entries) == 3
    first, second = (entries[f"{runs / 'search'}, seed {seed}"] for seed in (0, 1))
    assert (first.score, first.source, first.genotype) == (None, "gdas", CELLS[0])
    assert second.score == pytest.approx(80), "the mean of its trainings"
    cost = of_network(CELLS[1], SPACE, NetworkSize(1, 2, 10, 1), 8)
    assert (second.parameters, second.multiply_adds) == (cost.parameters, cost.multiply_adds)
    assert all(entry.began for entry in entries.values())


def test_a_damaged_run_is_left_out_which_is_said(dnas, runs, tmp_path):
    a_run(tmp_path / "well", CELLS[:1], "gdas", [0.5], mix=True)
    a_run(tmp_path / "torn", CELLS[:1], "gdas", [], mix=True)
    (tmp_path / "torn" / "genotype.json").write_text("{")
    code, out, err = dnas("zoo", tmp_path)
    assert code == 0 and "50.00 %" in out
    assert err.count("\n") == 1 and "torn" in err and "left out" in err


def test_the_page_has_a_picture_of_each_and_names_are_escaped(dnas, runs, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pages = []
    for _ in range(2):  # drawn, and from the cache
        code, out, err = dnas("zoo", runs, "fbnet_a", "--page", tmp_path / "zoo.html")
        assert (code, err) == (0, "") and f"Open {tmp_path / 'zoo.html'}" in out
        pages.append((tmp_path / "zoo.html").read_text())
    assert pages[0] == pages[1]
    assert "<script>alert" not in pages[0] and "&lt;script&gt;alert(1)&lt;_script&gt;" in pages[0]
    assert pages[0].count('class="cell"') == 3
    assert "4,304,584 parameters" in pages[0]
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", pages[0]), "nothing from elsewhere"
