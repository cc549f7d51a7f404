"""A cost beside the loss, with a weight for each seed of a program, and the front of what they find."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dnas import compare
from dnas.architectures.encoding import every
from dnas.architectures.genotype import as_mix
from dnas.architectures.topology import with_operations
from dnas.cli.search import _print_front
from dnas.config import AlphaConfig, Config, RetrainConfig, SearchConfig
from dnas.costs import budget
from dnas.errors import UserError
from dnas.reports import front
from dnas.runs import records
from dnas.search import tradeoff
from dnas.search.result import Result
from dnas.search.run import build, run
from dnas.tasks.task import Score

CONFIG = Config(
    space="nasbench201:nodes=3,operations=skip_connect+nor_conv_1x1+nor_conv_3x3",
    data="digits:limit=300",
    seeds=2,
    penalty="multiply_adds*0+30",
    search=SearchConfig(3, 64, cells=1, channels=4, alphas=AlphaConfig(0.05)),
    retrain=RetrainConfig(auxiliary=0, cells=1, channels=4),
)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"penalty": "multiply_adds"}, "A penalty is a cost, [*] and weights"),
        ({"penalty": "*0+1"}, "A penalty is a cost, [*] and weights"),
        ({"penalty": "multiply_adds*0+x"}, "'penalty' is numbers with [+] between them"),
        ({"penalty": "multiply_adds*-1"}, "'penalty' is numbers with [+] between them"),
        ({"penalty": "multiply_add*0+1"}, "Did you mean multiply_adds"),
        ({"penalty": "latency*0+1"}, "needs a table or a device"),
        ({"seeds": 3}, "has 2 weights, which seeds have in turn, and seeds is 3: set it to 2"),
        ({"method": "spos"}, "of which its alphas take no derivative"),
        ({"method": "enas"}, "of which its alphas take no derivative"),
        ({"method": "agreement"}, "has 2 side by side|has 4 side by side"),
        (
            {"space": CONFIG.space.replace("+nor_conv_1x1+nor_conv_3x3", "+none")},
            "have the same multiply_adds",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_built(change, said):
    with pytest.raises(UserError, match=said):
        build(replace(CONFIG, **change))


def test_a_comparison_has_one_weight_for_a_row(tmp_path):
    with pytest.raises(UserError, match="'a' have different weights of its penalty"):
        compare.check({"a": CONFIG}, tmp_path / "x", train=False)
    compare.check({"a": replace(CONFIG, penalty="multiply_adds*3")}, tmp_path / "x", train=False)


def test_a_cost_lies_between_the_cheapest_network_and_the_dearest():
    """Of every network as of its one-hot mix, and of a mix its expectation."""
    job = build(replace(CONFIG, seeds=4))
    assert job.stage.in_turn == {"expense": (0, 30, 0, 30)} and job.method.knobs["expense"] == 0
    networks = list(every(job.space))
    places = np.array([job.tradeoff.place(one) for one in networks])
    assert (places.min(), places.max()) == (0, 1) and len({*places}) > 5
    of_mixes = [float(job.method.expense(as_mix(one, job.space))) for one in networks]
    np.testing.assert_allclose(of_mixes, places, atol=1e-6)
    uniform = {kind: np.full(shape, 1 / shape[1]) for kind, shape in job.space.mix_shapes.items()}
    assert float(job.method.expense(uniform)) == pytest.approx(places.mean(), abs=1e-6)


@pytest.mark.parametrize("score", [Score("accuracy"), Score("perplexity", False)])
def test_a_front_is_written(score, tmp_path, capsys):
    job = build(replace(CONFIG, seeds=4))
    by_cost = sorted(every(job.space), key=job.tradeoff.place)
    networks = by_cost[0], by_cost[-1], by_cost[-2], by_cost[9]
    scores = (0.2, 0.9, 0.95, 0.1) if score.more else (80.0, 10.0, 5.0, 90.0)
    result = Result(tmp_path, replace(CONFIG, seeds=4, seed=7), networks, scores, score)
    limits = job.tradeoff.cost
    timed = replace(limits, costs=(replace(limits.costs[0], unit="ms"),))
    tradeoff.write(tmp_path, job.tradeoff._replace(cost=timed), result)
    header, *rows = (tmp_path / "front.csv").read_text().splitlines()
    assert header == f"seed,weight,{score.name},multiply_adds,front"
    assert [row.split(",")[0::4] for row in rows] == [["7", "1"], ["8", "0"], ["9", "1"], ["10", "0"]]
    known = json.loads((tmp_path / "front.json").read_text())
    assert [(row["seed"], row["weight"]) for row in known["front"]] == [(9, 0), (7, 0)]
    assert known["front"][0]["multiply_adds"] == job.tradeoff.cost.of(by_cost[-2])[0]
    signed = np.array(scores) if score.more else 1 - (np.array(scores) - 5) / 85
    expected = front.hypervolume(np.stack([signed, [1 - job.tradeoff.place(one) for one in networks]], 1))
    assert known["hypervolume"] == pytest.approx(expected) and expected > 0.1
    assert (tmp_path / "front.png").stat().st_size > 5_000
    _print_front(tmp_path)
    title, names, *lines = capsys.readouterr().out.strip().splitlines()
    assert title == f"Front of the searches, volume {expected:.4g}:"
    assert names.split()[2:] == [score.name, "multiply_adds", "[ms]"]
    assert [line.split()[0] for line in lines] == ["9", "7"]


def test_the_cost_of_a_later_phase_is_of_what_is_left():
    config = replace(CONFIG, method="drnas:partial=2+1,keep=1")
    job = build(config)
    left = with_operations(job.space, {"cell": [("nor_conv_3x3",)] * 3})
    method = tradeoff.applied(job.method, job.tradeoff, left, config)
    assert float(method.expense({"cell": np.ones((3, 1))})) == pytest.approx(1)
    assert budget.on(job.tradeoff.cost, left).space is left


@pytest.mark.slow
def test_one_program_has_searches_with_and_without_a_penalty(tmp_path):
    """With much of it the mix becomes cheaper and cheaper, whatever the loss says."""
    run(CONFIG, tmp_path / "run", quiet=True)
    rows = records.read_metrics(tmp_path / "run")
    free, priced = ([row["expected_multiply_adds"] for row in rows if row["seed"] == seed] for seed in (0, 1))
    assert priced[0] > priced[1] > priced[2] and priced[2] < min(free)
    known = json.loads((tmp_path / "run" / "front.json").read_text())
    assert {row["weight"] for row in known["front"]} <= {0, 30} and 0 < known["hypervolume"] < 1
