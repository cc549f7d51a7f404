"""Budgets, incumbents and folders of black-box searches; and that the published numbers come out."""

import csv
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dnas import find
from dnas.architectures import encoding
from dnas.architectures.genotype import read
from dnas.blackbox import run as blackbox
from dnas.blackbox import several, trials
from dnas.blackbox.config import BlackboxConfig, Budget, load_several, parse_budget
from dnas.config import from_dict
from dnas.errors import StorageError, UserError
from dnas.ranges import range_of
from dnas.tables.protocol import place

FAST = BlackboxConfig("random_search", budget="2000s", runs=4)


@pytest.mark.parametrize(
    "text, amount, unit",
    [("300evaluations", 300, "evaluations"), ("12000s", 12000, "s"), ("1.5e4 s", 15000, "s"), ("12_000s", 12000, "s")],
)
def test_budgets(text, amount, unit):
    assert parse_budget(text) == Budget(amount, unit)


@pytest.mark.parametrize("text", ["", "300", "s", "5 hours", "12000seconds", "0s", "-3s", "1e400s", "nans", "1e13s"])
def test_what_is_no_budget(text):
    with pytest.raises(UserError, match="[Bb]udget"):
        parse_budget(text)


@pytest.mark.parametrize(
    "text", ["0evaluations", "0.5evaluations", "-1evaluations", "1.5evaluations", "1e6evaluations"]
)
def test_what_is_no_number_of_evaluations(text):
    with pytest.raises(UserError, match="whole number of evaluations, .* at least 1|at most 100,000 evaluations"):
        parse_budget(text)


def test_a_field_that_is_a_number_has_a_range():
    for field in dataclasses.fields(BlackboxConfig):
        if isinstance(field.default, int):
            assert range_of(field.type) is not None
    for wrong in (0, 10_001):
        with pytest.raises(UserError, match="runs must be at least 1 and at most 10,000"):
            BlackboxConfig(runs=wrong)


SCORES = np.array([[1.0, 3.0, 3.0, 2.0, 5.0], [4.0, 1.0, 2.0, 3.0, 9.0]])
SECONDS = np.array([[10.0, 10.0, 10.0, 10.0, 10.0], [20.0, 5.0, 5.0, 20.0, 20.0]])
TRUTH = np.array([[10.0, 30.0, 31.0, 20.0, 50.0], [40.0, 10.0, 20.0, 30.0, 90.0]])


def made(budget, past_budget="dropped"):
    return trials.counted(np.zeros((2, 5, 1), int), SCORES[..., None], SECONDS, budget, past_budget)


def test_the_incumbent_is_the_first_of_the_best():
    assert trials.incumbents(made(Budget(5, "evaluations"))).tolist() == [[0, 1, 1, 1, 4], [0, 0, 0, 0, 4]]


@pytest.mark.parametrize(
    "amount, past_budget, counts, found",
    [
        (45, "dropped", [4, 3], [30, 40]),
        (40, "dropped", [4, 3], [30, 40]),
        (45, "interpolated", [5, 4], [30 + 0.5 * 20, 40]),  # half of the fifth evaluation is paid for
        (60 - 15 - 5, "interpolated", [5, 4], [30, 40]),
    ],
)
def test_what_goes_beyond_a_budget(amount, past_budget, counts, found):
    ours = made(Budget(amount, "s"), past_budget)
    assert ours.counts.tolist() == counts
    np.testing.assert_allclose(trials.found(ours, TRUTH), found)


def test_all_evaluations_of_a_number_count():
    ours = made(Budget(5, "evaluations"))
    assert ours.counts.tolist() == [5, 5] and trials.found(ours, TRUTH).tolist() == [50, 90]


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"budget": "200s"}, "less than one evaluation by 'table', which takes up to 212 s"),
        ({"evaluator": "table:data=mnist"}, "Unknown data set of the table 'nasbench201': 'mnist'. Known: cifar10"),
        ({"evaluator": "table:epochs=90"}, "after 12 and 200 epochs, not after 90"),
        ({"evaluator": "table:table=nasbench"}, "Did you mean nasbench201"),
        ({"evaluator": "tabel"}, "Did you mean table"),
        ({"objective": "acuracy"}, "Unknown objective of the evaluator 'table': 'acuracy'. Did you mean accuracy"),
        ({"objective": "latency"}, "needs a table or a device"),
        ({"budget": "9evaluations,parameters<9"}, "No network of 'nasbench201' has parameters below 9: the smallest"),
        ({"objective": "accuracy+mflops"}, "'random_search' needs one number .* 'accuracy[+]mflops' is 2"),
        ({"budget": "9evaluations", "past_budget": "interpolated"}, "a budget in seconds only"),
        ({"budget": "90000evaluations", "runs": 10_000}, "too many, the most are 100,000 in a run and 20,000,000"),
        ({"budget": "1e12s"}, "too many"),
    ],
)
def test_what_cannot_be_run_is_refused_when_it_is_built(changes, says):
    with pytest.raises(UserError, match=says):
        blackbox.build(dataclasses.replace(FAST, **changes))


def test_a_measure_of_which_less_is_better(tmp_path):
    job = blackbox.build(dataclasses.replace(FAST, objective="mflops", budget="50evaluations"))
    assert job.columns({"mflops": 3.0}) == [-3.0]


def test_a_folder_says_what_was_tried_and_found(tmp_path):
    result = blackbox.run(FAST, tmp_path / "out")
    with open(tmp_path / "out" / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    table = find.resolve("table", "nasbench201")
    for row in rows[:20]:
        where = place(np.array([int(n) for n in row["architecture"].split("-")]), table.options)
        assert float(row["score"]) == pytest.approx(table.column("cifar10", "valid_12")[where], abs=1e-3)
        assert float(row["cifar100_test_200"]) == pytest.approx(table.column("cifar100", "test_200")[where])
    assert {row["run"] for row in rows} == {"0", "1", "2", "3"} and max(float(row["seconds"]) for row in rows) <= 2000
    best = [max((r for r in rows if r["run"] == str(i)), key=lambda r: float(r["score"])) for i in range(4)]
    mean = np.mean([float(row["cifar10_test_200"]) for row in best])
    assert result.summary["truths"]["cifar10_test_200"]["mean"] == pytest.approx(mean)
    (genotype,) = read(str(tmp_path / "out"))
    top = max(best, key=lambda r: float(r["score"]))["architecture"]
    assert "-".join(map(str, encoding.encode(genotype, find.resolve("space", "nasbench201")))) == top
    assert (tmp_path / "out" / "accuracy.png").read_bytes()[:4] == b"\x89PNG"
    assert "random_search searched by accuracy" in (tmp_path / "out" / "report.html").read_text()
    assert result.summary["curve"][-1][0] == 2000 and result.summary["curve"][-1][1] == pytest.approx(mean, abs=1e-3)


def test_a_folder_is_read_done_again_or_refused(tmp_path, monkeypatch):
    out = tmp_path / "out"
    first = blackbox.run(FAST, out).summary
    rows = (out / "trials.csv").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(blackbox, "simulated", None)
        assert blackbox.run(FAST, out).summary == first
    (out / "summary.json").unlink()  # as a kill leaves it
    (out / "trials.csv").write_text("half a li")
    assert blackbox.run(FAST, out).summary == first and (out / "trials.csv").read_bytes() == rows
    with pytest.raises(UserError, match="another config .runs: 4 -> 5.: choose another --out"):
        blackbox.run(dataclasses.replace(FAST, runs=5), out)
    (out / "summary.json").write_text((out / "summary.json").read_text().replace("9", "8"))
    with pytest.raises(StorageError, match="summary.json is damaged, its checksum is wrong: remove it"):
        blackbox.run(FAST, out)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letters").write_text("")
    with pytest.raises(UserError, match="not empty and holds no black-box search"):
        blackbox.run(FAST, tmp_path / "other")
    (tmp_path / "other" / "blackbox.json").write_text("{")
    with pytest.raises(UserError, match="blackbox.json is damaged"):
        blackbox.run(FAST, tmp_path / "other")


def test_several_searches_beside_each_other(tmp_path):
    small = dataclasses.replace(FAST, budget="5evaluations")
    configs = {"a": small, "b": dataclasses.replace(small, evaluator="table:data=cifar100")}
    results = several.run(configs, tmp_path)
    made = json.loads((tmp_path / "results.json").read_text())
    numbers = made["searches"]
    assert {"commit", "command"} < made.keys()
    assert list(numbers) == ["a", "b"] and numbers["b"]["config"]["evaluator"] == "table:data=cifar100"
    assert numbers["a"]["truths"] == results["a"].summary["truths"]
    shown = several.table(results)
    assert [str(column.header) for column in shown.columns][:2] == ["search", "CIFAR-10"] and shown.row_count == 2
    assert (tmp_path / "accuracy.png").exists()
    with pytest.raises(UserError, match="cannot name a search"):
        several.run({"a/b": small}, tmp_path)
    with pytest.raises(UserError, match="Unknown searcher"):  # before any is run
        several.run({"new": small, "c": dataclasses.replace(small, searcher="no")}, tmp_path)
    assert not (tmp_path / "new").exists()


def test_what_a_file_of_searches_may_be(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def searches():\n    return {'a': 1}\n")
    with pytest.raises(UserError, match="must return a dictionary of BlackboxConfig"):
        load_several(file)
    file.write_text("def config():\n    return 1\n")
    with pytest.raises(UserError, match="has no searches.., for dnas blackbox: is it a file for dnas search.$"):
        load_several(file)
    with pytest.raises(UserError, match="No such experiment"):
        load_several(tmp_path / "none.py")


def test_the_published_numbers_of_evolution():
    """93.92 ± 0.30, 71.84 ± 0.99, 45.54 ± 1.03 (NAS-Bench-201): within a deviation, which is as large as theirs."""
    found = blackbox.run(BlackboxConfig()).summary
    for name, mean, deviation in (
        ("cifar10_test_200", 93.92, 0.30),
        ("cifar100_test_200", 71.84, 0.99),
        ("imagenet16_test_200", 45.54, 1.03),
    ):
        assert abs(found["truths"][name]["mean"] - mean) < deviation / 2
        assert found["truths"][name]["std"] == pytest.approx(deviation, rel=0.6)
    assert 90 < found["evaluations"]["mean"] < 110


def published(name):
    """What papers print of a search of experiments/nasbench201_blackbox.py on its own data set: mean and deviation."""
    return {
        "nats-random-cifar10": (93.86, 0.23),
        "nats-random-cifar100": (71.55, 0.97),
        "nats-random-imagenet16": (45.28, 0.97),
        "nats-evolution-cifar10": (94.02, 0.31),
        "nats-evolution-cifar100": (72.23, 0.84),
        "nats-evolution-imagenet16": (45.77, 0.80),
        "nats-reinforce-cifar10": (93.90, 0.26),
        "nats-reinforce-cifar100": (71.86, 0.89),
        "nats-reinforce-imagenet16": (45.64, 0.78),
        "queries150-local-cifar10": (94.15, 0.17),
        "queries150-local-cifar100": (73.33, 0.35),
        "queries150-local-imagenet16": (46.38, 0.27),
        "queries300-local-cifar10": (94.21, 0.14),
        "queries300-local-cifar100": (73.48, 0.04),
        "queries300-local-imagenet16": (46.45, 0.14),
    }[name]


@pytest.mark.slow
@pytest.mark.parametrize("data", ["cifar10", "cifar100", "imagenet16"])
@pytest.mark.parametrize(
    "kind", ["nats-random", "nats-evolution", "nats-reinforce", "queries150-local", "queries300-local"]
)
def test_published_numbers(kind, data, tmp_path):
    mean, deviation = published(f"{kind}-{data}")
    search = [f"{EXPERIMENT}:{kind}-{data}", "--runs", "200", "--quiet", "--out", str(tmp_path / "run")]
    plain = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}  # much to compute
    subprocess.run([sys.executable, "-m", "dnas", "blackbox", *search], env=plain, check=True, capture_output=True)
    found = json.loads((tmp_path / "run" / "summary.json").read_text())["truths"][f"{data}_test_200"]
    assert abs(found["mean"] - mean) < deviation
    assert found["std"] < 2 * deviation + 0.1


def test_the_numbers_of_record_are_within_a_deviation_of_the_published_ones():
    numbers = json.loads(RECORD.read_text())["searches"]
    configs = load_several(EXPERIMENT)
    assert list(numbers) == list(configs)
    for name, found in numbers.items():
        assert from_dict(found["config"], BlackboxConfig) == configs[name]
        if name.startswith("nats") or "-local-" in name:
            mean, deviation = published(name)
            assert abs(found["truths"][f"{name.rpartition('-')[2]}_test_200"]["mean"] - mean) < deviation


REPOSITORY = Path(__file__).parents[2]
EXPERIMENT = REPOSITORY / "experiments" / "nasbench201_blackbox.py"
RECORD = REPOSITORY / "benchmarks" / "results" / "nasbench201_blackbox.json"
