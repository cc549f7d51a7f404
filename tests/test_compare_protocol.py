"""What a comparison says of a row beside its scores: costs, baselines at equal cost, correlations, settings, tests."""

import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from scipy.stats import kendalltau, spearmanr

import dnas.retrain
from dnas import compare, find
from dnas.architectures.encoding import every
from dnas.architectures.genotype import parse, to_json
from dnas.blackbox.config import BlackboxConfig
from dnas.compare import correlation, costs, equal_cost, pairs, searches, trainings
from dnas.compare.protocol import Protocol
from dnas.compare.rows import Rank, Row
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, to_dict
from dnas.errors import UserError
from dnas.evaluators.protocol import HostEvaluator
from dnas.nets.work import multiply_adds
from dnas.runs import records
from dnas.tables import nasbench201 as tabular

PLAIN = AugmentConfig(pad=1, flip=False)
BASE = Config(
    space="nasbench201",
    data="digits:limit=200",
    seeds=2,
    search=SearchConfig(epochs=2, cells=1, channels=2, batch_size=32, augment=PLAIN),
    retrain=RetrainConfig(epochs=1, cells=1, channels=2, batch_size=32, auxiliary=0, drop_path=0, augment=PLAIN),
)
SMALL = "nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1"
SEARCHER = BlackboxConfig("random_search", budget="2000s", runs=2)
CELLS = [parse(f"{number}") for number in (1835, 6111, 9930)]
NINE = Protocol(learning_rates=(0.025, 0.1, 0.01), weight_decays=(1e-4, 3e-4, 1e-3))
EMPTY = "nasbench201:operations=none+skip_connect+nor_conv_3x3"


@pytest.fixture
def rows():
    """As of a whole comparison, with every column."""
    many = tuple(np.linspace(80, 94, 20))
    scores = {
        "a method with a long name": [93.0, 92.0, 94.1],
        "searcher": [91.0, 90.0, 92.5],
        "darts": [54.3, 54.3, 80],
    }
    made = [
        Row(name, BASE, CELLS, 6.0, [], values, flop=3e12, mix_ranks=(Rank(0.5, 0.3),), supernet_ranks=(Rank(0.1, 0),))
        for name, values in scores.items()
    ]
    made = [row._replace(equal={unit: equal_cost.Reference(many, 3.0) for unit in row.cost}) for row in made]
    return [*made, Row(compare.RANDOM, BASE, CELLS, 0.0, [], [85.0, 60.0, 90.0])]


def test_a_table_fits_into_a_terminal(rows):
    """Names stay whole and every number in its line; what does not fit is in the files."""
    for width in (60, 80, 400):
        text = io.StringIO()
        Console(file=text, width=width).print(compare.table(rows, width))
        lines = [line.rstrip() for line in text.getvalue().splitlines()]
        assert max(map(len, lines)) <= width and len(lines) <= 1 + len(rows) + 1
        for row in rows:
            assert any(line.startswith(row.name) and " ± " in line for line in lines), (width, row.name)
        assert ("comparison.csv" in lines[-1]) == (width < 400)
    assert any("0.500" in line or "p" in line.split() for line in lines)


def test_columns_say_what_is_known(rows):
    header, lines = compare.cells([row._replace(tuning=2 * (row.name == "darts")) for row in rows])
    by_name = {line[0]: dict(zip(header, line, strict=True)) for line in lines}
    darts, random = by_name["darts"], by_name[compare.RANDOM]
    assert header[2] == "NAS-Bench-201 %" and header[-1] == "p"
    assert (darts["median"], darts["best"], darts["search s"], darts["tuning"]) == ("54.30", "80.00", "6", "2")
    assert by_name["searcher"]["search s"] == "2" and darts["search FLOP"] == "3.0e+12"
    quick = compare.cells([rows[0]._replace(seconds=0.123)])
    assert quick[1][0][quick[0].index("search s")] == "0.041"
    assert darts["random at equal s"] == "87.00 ± 4.36" and darts["better at equal s"] == "1%"
    assert (darts["mix spearman"], darts["mix kendall"], darts["supernet spearman"]) == ("0.50", "0.30", "0.10")
    assert {random[name] for name in ("search s", "tuning", "mix spearman", "p", "p at equal FLOP")} == {"-"}
    assert "mix spearman" not in compare.cells([rows[-1]])[0]


def test_what_failed_is_said_below_the_table(rows):
    """And is worse than all that did not."""
    reason = "It does not go together with that: choose another, of which there are many, or something else."
    rows = [*rows, Row("broken", BASE, CELLS, 1.0, [], [90.0, 90.0, 90.0], reason)]
    text = io.StringIO()
    Console(file=text, width=80).print(compare.table(rows, 80))
    assert f"broken: {reason}" in " ".join(text.getvalue().split())
    header, lines = compare.cells(rows)
    assert header[-1] == "failed" and [line[-1] for line in lines] == ["-"] * 4 + [reason]
    assert rows[-1].score == -np.inf and max(map(len, text.getvalue().splitlines())) <= 80


def test_every_seed_and_every_two_methods_are_written(rows):
    header, lines = compare.rows.by_seed(rows)
    assert len(lines) == 12 and lines[0][:2] == ["a method with a long name", "0"] and lines[0][-1] == "93.0"
    header, lines = pairs.tests(rows)
    assert len(lines) == 6 and {line[header.index("test")] for line in lines} == {"permutation"}
    seven = [row._replace(tabulated=[*row.tabulated, *row.tabulated, 1.0], genotypes=CELLS) for row in rows]
    tests = {(a, b): test for a, b, _, _, test, *_ in pairs.tests(seven)[1]}
    assert tests["searcher", "darts"] == "wilcoxon" and tests["darts", compare.RANDOM] == "permutation"
    assert all(float(line[6]) >= float(line[5]) for line in lines)


def test_there_is_a_picture_of_ranks_from_three_methods_on(rows, tmp_path):
    assert not pairs.draw_ranks(rows[:2], tmp_path / "x.png")
    assert not pairs.draw_ranks([*rows[:2], rows[2]._replace(tabulated=[1.0, 2.0])], tmp_path / "x.png")
    assert pairs.draw_ranks(rows, tmp_path / "x.png") and (tmp_path / "x.png").stat().st_size > 5_000


def test_random_search_pays_what_a_search_cost():
    """Nothing buys one cell at random, much the best one; operations are another currency than seconds."""
    test = tabular.table().column("cifar10", "test_200")
    nothing, some, much = equal_cost.references([{"seconds": 1.0}, {"seconds": 12_000.0, "flop": 1e18}, {"flop": 1e12}])
    assert nothing["seconds"].evaluations == much["flop"].evaluations == 0
    assert np.mean(nothing["seconds"].found) == pytest.approx(test.mean(), abs=3 * test.std() / np.sqrt(500))
    assert nothing["seconds"].found == much["flop"].found
    published = some["seconds"].plain()
    assert published["mean"] == pytest.approx(93.75, abs=0.1) and 90 < published["evaluations"] < 120
    assert some["flop"].plain()["mean"] > 94 and some["flop"].evaluations > 500
    assert equal_cost.references([{}]) == [{}]


def test_a_training_of_the_table_is_counted_from_its_multiply_adds():
    flop, table = costs.of_training(12), tabular.table()
    at = int(np.argmax(table.column("cifar10", "mflops")))
    assert flop[at] == 2e6 * table.column("cifar10", "mflops")[at] * (3 * 12 * 25_000 + 25_000)


def test_operations_of_a_searcher_are_those_of_its_trials(tmp_path):
    (tmp_path / "trials.csv").write_text(
        "run,evaluation,architecture,fidelity\n0,1,3-3-3-3-3-3,1\n0,2,1-1-1-1-1-1,0.5\n"
    )
    flop = costs.of_training(12)
    places = [tabular.index(np.full(6, number)) for number in (3, 1)]
    for evaluator in ("table", "table:epochs=0", "table:epochs=12"):  # all of them mean the fewest of the table
        found = costs.of_trials(tmp_path, find.resolve("evaluator", evaluator))
        assert found == pytest.approx(flop[places[0]] + flop[places[1]] / 2)
    unknown = replace(find.resolve("evaluator", "table"), multiply_adds=None)
    assert costs.of_trials(tmp_path, unknown) is None


def test_the_supernet_that_evaluates_is_paid_for_by_every_run(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "spos"
    evaluator = HostEvaluator(
        find.resolve("space", "nasbench201"),
        {"accuracy": True},
        lambda *_: ({}, 0.0),
        multiply_adds=lambda cells, fidelities: 5.0 * fidelities,
        source=str(folder),
    )

    def run(config, out, quiet):
        out.mkdir(exist_ok=True)
        (out / "trials.csv").write_text("architecture,fidelity\n3-3,1\n1-1,0.2\n")
        return SimpleNamespace(found=CELLS[:2], seconds=[1.0, 2.0])

    monkeypatch.setattr(searches.blackbox, "run", run)
    monkeypatch.setattr(searches.jobs, "build", lambda config: SimpleNamespace(evaluator=evaluator))
    monkeypatch.setattr(records, "config_of", lambda _: BASE)
    monkeypatch.setattr(costs, "of_search", lambda *_: 8.0)
    for _ in range(2):  # the second time it is read
        row = searches.tried("a", SEARCHER, tmp_path, True)
        assert row.cost == {"flop": (2 * 6 + 2 * 8 / 2) / 2}, "nobody knows how long the search took"
    assert capsys.readouterr().err.count("is no row of a comparison") == 1
    folder.mkdir()
    found = {"config": to_dict(BASE), "genotypes": [to_json(cell) for cell in CELLS[:2]], "seconds": 10.0}
    (folder / "found.json").write_text(json.dumps(found))
    row = searches.tried("b", SEARCHER, tmp_path, True)
    assert row.cost == {"seconds": (3 + 2 * 10 / 2) / 2, "flop": 10.0}


def convolved(x, kernel):
    from dnas.kernels.conv import dense_conv

    return dense_conv(x, kernel, padding=(1, 1)).sum()


def test_derivatives_branches_and_loops_are_counted():
    x, kernel = jnp.ones((2, 5, 5, 3)), jnp.ones((3, 3, 3, 4))
    once = 2 * 25 * 9 * 3 * 4

    def counted(function, *args):
        return multiply_adds(jax.make_jaxpr(function)(*args).jaxpr)

    assert counted(convolved, x, kernel) == once
    assert counted(jax.grad(convolved, 1), x, kernel) == 2 * once
    assert counted(jax.grad(convolved, (0, 1)), x, kernel) == 3 * once
    assert counted(jax.vmap(convolved, (0, None)), jnp.stack([x] * 5), kernel) == 5 * once
    dear = lambda x: convolved(x, kernel) + jnp.vdot(jnp.ones(7), jnp.ones(7))  # noqa: E731
    assert counted(lambda p, x: jax.lax.cond(p, dear, jnp.sum, x), True, x) == once + 7
    assert counted(lambda x: jax.lax.fori_loop(0, 4, lambda _, y: y + dear(x), 0.0), x) == 4 * (once + 7)


def test_a_step_of_first_order_is_two_gradients_of_the_supernet(tmp_path, monkeypatch):
    """Three passes each, but that of the first convolution need not go back to the image; and a search has as many
    steps as were logged, in each of its seeds, and asked the supernet of one seed as often as was logged."""
    counted = []

    def of_epoch(stage):
        found = jax.make_jaxpr(stage.evaluate.function)(
            stage.shapes.state, jax.eval_shape(stage.mixes.function, stage.shapes.state), stage.valid_batches
        )
        rows, _ = stage.valid_batches
        images = np.prod(jax.tree.leaves(rows)[0].shape[:2])
        forward = multiply_adds(found.jaxpr) / images * stage.plan.batch_size
        total = whole(stage)
        counted.append((total - 2 * multiply_adds(found.jaxpr)) / 2 / stage.steps / stage.config.seeds)
        counted.append(forward / stage.config.seeds)
        counted.append(multiply_adds(found.jaxpr) / stage.config.seeds / stage.batches)
        return total

    whole = costs.of_epoch
    monkeypatch.setattr(costs, "of_epoch", of_epoch)
    monkeypatch.setattr(records, "read_metrics", lambda _: [{"epoch": 1, "seed": 0}, {"epoch": 1, "seed": 1}])
    config = replace(BASE, space=SMALL)
    total = costs.of_search(tmp_path, config)
    step, forward, batch = counted
    first = BASE.search.batch_size * 8 * 8 * 9 * 1 * 2
    assert step == pytest.approx(2 * (3 * forward - first), rel=1e-4)
    rows = [{"epoch": 1, "seed": 0, "evaluated": 3}, {"epoch": 2, "seed": 0}, {"epoch": 2, "seed": 1, "evaluated": 4}]
    monkeypatch.setattr(records, "read_metrics", lambda _: rows)
    assert costs.of_search(tmp_path, config) == pytest.approx(2 * total + 7 * 2 * batch)


def mixes(tmp_path, **weights):
    """A folder whose searches ended with these mixes, by seed, on every edge."""
    edges = ("1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2")
    rows = [
        {"step": step, "epoch": step, "seed": seed, "mix": {"cell": dict.fromkeys(edges, mix)}}
        for step in (1, 2)
        for seed, mix in enumerate(weights.values())
    ]
    (tmp_path / "mix.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_a_mix_orders_cells_by_the_product_of_its_weights(tmp_path):
    config = replace(BASE, space=EMPTY)
    good = {"none": 0.2, "skip_connect": 0.3, "nor_conv_3x3": 0.5}
    folder = mixes(tmp_path, good=good, gave_up={"nor_conv_3x3": 0.1, "skip_connect": 0.9})
    found = correlation.of_mixes(folder, config)
    space = find.resolve("space", EMPTY)
    cells = list(every(space))
    products = [np.prod([good[edge.operation] for edge in cell.cells[0][1].edges]).round(12) for cell in cells]
    truth = [tabular.nasbench201(cell).cifar10 for cell in cells]
    assert found[0] == pytest.approx((spearmanr(products, truth)[0], kendalltau(products, truth)[0]))
    assert found[0].spearman > 0.5 and found[1].spearman < found[0].spearman
    assert correlation.of_mixes(mixes(tmp_path, undecided=dict.fromkeys(good, 0.2)), config) == ()
    assert correlation.of_mixes(folder, replace(BASE, space="darts")) == ()


def test_a_path_is_one_operation_on_every_edge_that_is_left():
    space = find.resolve("space", EMPTY)
    ((kind, cell),) = space.cells.items()
    left = replace(space, cells={kind: replace(cell, operations=(("nor_conv_3x3", "none"),) * 6)})
    mix = correlation.one_hot(np.array([0, 1, 2, 2, 2, 0]), space, left)[kind]
    assert mix.tolist() == [[0, 1], [0, 0], [1, 0], [1, 0], [1, 0], [0, 1]]


REFUSED = {
    "another space": ({"a": replace(BASE, space=SMALL), "b": SEARCHER}, {}, "searches 'nasbench201' as its evaluator"),
    "another data set": (
        {"a": BASE, "b": replace(SEARCHER, evaluator="table:data=cifar100", budget="9000s")},
        {},
        "after another data set",
    ),
    "searchers that are trained": ({"b": SEARCHER}, {"train": True}, "none says how found cells are trained"),
    "a searcher that does not exist": (
        {"b": replace(SEARCHER, searcher="nobody")},
        {},
        "'b' is refused: Unknown searcher 'nobody'",
    ),
    "several numbers for a searcher of one": (
        {"a": BASE, "b": replace(SEARCHER, objective="accuracy+parameters")},
        {},
        "'b' is refused: The searcher 'random_search' needs one number",
    ),
    "a supernet that is not there": (
        {"a": BASE, "b": replace(SEARCHER, evaluator="supernet", budget="2evaluations")},
        {},
        "'b' is refused: A supernet is that of a search",
    ),
    "an evaluator on other data": (
        {"a": BASE, "b": replace(SEARCHER, evaluator="train:space=nasbench201,data=digits", budget="2evaluations")},
        {},
        "evaluator of 'b' reads 'digits' and the others 'digits:limit=200'",
    ),
    "a method that refuses its setting": (
        {"a": replace(BASE, method="agreement:members=1")},
        {},
        "'a' is refused: .*members",
    ),
    "a method that refuses its config": (
        {"a": replace(BASE, method="shapley_nas", search=replace(BASE.search, epochs=1))},
        {},
        "'a' is refused: Method 'shapley_nas' moves alphas between epochs",
    ),
    "a training that cannot be": (
        {"a": replace(BASE, retrain=replace(BASE.retrain, patience=2))},
        {"train": True},
        "The training of found cells is refused: retrain.patience",
    ),
    "tuning of nobody": ({"a": BASE}, {"protocol": Protocol(tuning={"b": 3})}, "tuning of this comparison: 'b'"),
    "settings without validation": ({"a": BASE}, {"train": True, "protocol": NINE}, "9 settings .*valid_portion"),
    "settings of no training": ({"a": BASE}, {"protocol": NINE}, "learning_rates says how .* --lookup"),
    "seeds of no training": ({"a": BASE}, {"protocol": Protocol(train_seeds=3)}, "train_seeds says how .* --lookup"),
    "another truth": (
        {"a": replace(BASE, space="darts")},
        {"protocol": Protocol(supernet_cells=3)},
        "against NAS-Bench-201, which does not know all cells of the 'darts'",
    ),
    "a part of the truth": (
        {"a": replace(BASE, space=SMALL)},
        {"protocol": Protocol(supernet_cells=3)},
        "does not know all cells of the 'nasbench201'",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_compared_is_refused_before_anything_runs(what, tmp_path):
    configs, options, sentence = REFUSED[what]
    with pytest.raises(UserError, match=sentence):
        compare.run(configs, tmp_path / "x", **({"train": False} | options), quiet=True)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"train_seeds": 0},
        {"supernet_cells": 20_000},
        {"supernet_batches": 0},
        {"learning_rates": (-0.1,)},
        {"weight_decays": (float("nan"),)},
        {"learning_rates": (0.1, 0.1)},
        {"tuning": {"darts": -1}},
    ],
    ids=str,
)
def test_a_protocol_has_ranges(fields):
    with pytest.raises(UserError, match=next(iter(fields))):
        Protocol(**fields)


def test_settings_are_the_product_of_what_is_given():
    assert [(s.weights.learning_rate, s.weights.decay) for s in NINE.settings(BASE.retrain)][:4] == [
        (0.025, 1e-4),
        (0.025, 3e-4),
        (0.025, 1e-3),
        (0.1, 1e-4),
    ]
    assert Protocol().settings(BASE.retrain) == [BASE.retrain]


@pytest.fixture
def trained(monkeypatch):
    """Trainings that are not done: what was asked for, and the scores that each learning rate leads to."""
    asked, scores = [], {0.025: (0.9, 0.1), 0.1: (0.4, 0.7), 0.01: (0.6, 0.5)}  # test, validation

    def run(config, genotype, out, resume, **_):
        asked.append(config)
        with (records.resume if resume else records.create)(out, config) as record:
            test, valid = scores[config.retrain.weights.learning_rate]
            for seed in range(config.seeds):
                record.log({"step": 1, "epoch": 1, "seed": seed, "valid_accuracy": valid, "test_accuracy": test})
        return dnas.retrain.Result(out, genotype, (test,) * config.seeds, 1)

    monkeypatch.setattr(dnas.retrain, "run", run)
    return asked


def test_of_several_settings_the_validation_score_chooses(trained, tmp_path):
    protocol = Protocol(learning_rates=(0.025, 0.1, 0.01), train_seeds=3)
    row = Row("one", BASE, CELLS[:1], 0.0, [], [])
    for _ in range(2):  # the second time all is read
        score = trainings.trainings([row], BASE, protocol, tmp_path, True)
        assert score(row)[0].test == pytest.approx(0.4) and score(row)[0].setting == (0.1, 3e-4)
    assert [(config.seeds, config.retrain.weights.learning_rate) for config in trained] == [
        (3, 0.025),
        (3, 0.1),
        (3, 0.01),
    ]
    score = trainings.trainings([row], BASE, Protocol(), tmp_path, True)
    assert score(row)[0].test == 0.9 and len(trained) == 4, "one seed is another training"


def test_cells_of_searchers_are_trained_as_all_others(trained, tmp_path):
    both = [Row("a", BASE, CELLS[:1], 0.0, [], []), Row("b", SEARCHER, CELLS[:2], 0.0, [], [])]
    score = trainings.trainings(both, BASE, Protocol(), tmp_path, True)
    assert len(trained) == 2 and score(both[1])[1].test == score(both[0])[0].test == 0.9


def test_a_score_of_an_earlier_version_is_said_again(trained, tmp_path, capsys):
    row = Row("one", BASE, CELLS[:1], 0.0, [], [])
    trainings.trainings([row], BASE, Protocol(), tmp_path, True)
    (file,) = tmp_path.glob("cells/*/score.json")
    known = json.loads(file.read_text())
    file.write_text(json.dumps({name: known[name] for name in ("cell", "test_score", "measure")}))
    score = trainings.trainings([row], BASE, Protocol(), tmp_path, True)
    assert "earlier version: it is written anew" in capsys.readouterr().err
    assert score(row)[0].test == 0.9 and json.loads(file.read_text()) == known


def test_a_search_of_an_earlier_version_is_read(tmp_path, monkeypatch):
    """Its folder has found.json and no cost.json."""
    monkeypatch.setattr(costs, "of_search", lambda *_: 7.0)
    monkeypatch.setattr(dnas.search, "run", None)
    mixes(tmp_path, seed_0={"none": 0.4, "skip_connect": 0.6}).joinpath("mix.jsonl").rename(tmp_path / "x")
    (tmp_path / "old").mkdir()
    found = {"config": to_dict(BASE), "genotypes": [to_json(cell) for cell in CELLS[:2]], "seconds": 5.0}
    (tmp_path / "old" / "found.json").write_text(json.dumps(found))
    row = searches.searched("old", BASE, tmp_path, Protocol(), True)
    assert (row.genotypes, row.seconds, row.flop, row.mix_ranks) == (CELLS[:2], 5.0, 7.0, ())
    assert row.cost == {"seconds": 2.5, "flop": 3.5}
    assert row._replace(tuning=3).cost == {"seconds": 10.0, "flop": 14.0}


EXPERIMENT = """
from dnas.blackbox.config import BlackboxConfig
from dnas.compare import Protocol
from dnas.config import Config
def configs():
    return {{"a": Config(), "b": BlackboxConfig(runs=3)}}
def protocol():
    return {}
"""


def test_an_experiment_gives_both_kinds_and_a_protocol(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(EXPERIMENT.format("Protocol(tuning={'a': 4})"))
    assert compare.load(file) == ({"a": Config(), "b": BlackboxConfig(runs=3)}, Protocol(tuning={"a": 4}))
    file.write_text(EXPERIMENT.format("3"))
    with pytest.raises(UserError, match="must return a dnas.compare.Protocol, not int"):
        compare.load(file)
    file.write_text("def configs():\n    return {'a': 3}\n")
    with pytest.raises(UserError, match="dictionary of Config, BlackboxConfig and Baseline"):
        compare.load(file)
    file.write_text("from dnas.config import Config\ndef configs():\n    return {'a': Config()}\n")
    assert compare.load(file)[1] == Protocol()


@pytest.mark.slow
def test_searchers_alone_can_be_compared(tmp_path):
    configs = {name: replace(SEARCHER, searcher=name) for name in ("random_search", "evolution")}
    rows = compare.run(configs, tmp_path / "x", random_cells=2, train=False, quiet=True)
    assert {row.name: len(row.tabulated) for row in rows} == {compare.RANDOM: 2, "random_search": 2, "evolution": 2}
    assert all(set(row.equal) == {"seconds", "flop"} for row in rows if row.name != compare.RANDOM)
    assert (tmp_path / "x" / "comparison.ranks.png").exists() and (tmp_path / "x" / "comparison.png").exists()
    with pytest.raises(UserError, match="evolution was made with another config .runs: 2 -> 3."):
        compare.run({"evolution": replace(SEARCHER, searcher="evolution", runs=3)}, tmp_path / "x", train=False)


@pytest.mark.slow
def test_a_phase_costs_what_is_left_in_it(tmp_path, monkeypatch):
    """Of the second half of DrNAS on a cell of one edge."""
    config = replace(BASE, space=SMALL, method="drnas:partial=2+1,keep=1")
    rows = [{"epoch": epoch, "seed": 0} for epoch in (1, 2)]
    monkeypatch.setattr(records, "read_metrics", lambda _: rows)
    found = []
    for left in ("skip_connect", "nor_conv_1x1"):
        mix = [{"epoch": 1, "mix": {"cell": {"1<-0": {}}}}, {"epoch": 2, "mix": {"cell": {"1<-0": {left: 1.0}}}}]
        monkeypatch.setattr(records, "read_mix", lambda _, mix=mix: mix)
        found.append(costs.of_search(tmp_path, config))
    del rows[1]
    assert found[1] > found[0] > costs.of_search(tmp_path, config) > 0


@pytest.mark.slow
def test_both_kinds_of_search_share_one_table(tmp_path):
    """The second time nothing is searched again, and a searcher evaluates with the supernet that was left."""
    (tmp_path / "mine.py").write_text(
        "from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig\n"
        + f"def config():\n    return {BASE!r}\n"
    )
    few = replace(SEARCHER, budget="1evaluations", runs=1)
    proxy = f"proxy:proxy=nwot,data={BASE.data},images=4,channels=2"
    configs = {
        "darts": replace(BASE, seeds=1),
        "random": SEARCHER,
        "trained": replace(few, evaluator=f"train:config={tmp_path / 'mine.py'}"),
        "scored": replace(few, evaluator=proxy, objective="nwot"),
    }
    shared = replace(few, evaluator=f"supernet:run={tmp_path / 'x' / 'darts'}", runs=2)
    protocol = Protocol(supernet_cells=6, tuning={"darts": 1})
    first, second = (
        compare.run(some, tmp_path / "x", random_cells=2, train=False, protocol=protocol, quiet=True)
        for some in (configs, configs | {"shared": shared})
    )
    by_name = {row.name: row for row in second}
    assert {row.name: row for row in first} == {name: row for name, row in by_name.items() if name != "shared"}
    for name in ("trained", "scored", "shared"):
        row = by_name[name]
        assert len(row.tabulated) == len(row.genotypes) == configs.get(name, shared).runs
        assert set(row.equal) == {"seconds", "flop"} and row.seconds > 0 < row.flop
    searched, borrowed = by_name["darts"], by_name["shared"]  # the search counts for each run
    assert borrowed.seconds > 2 * searched.seconds and 2 * searched.flop < borrowed.flop < 3 * searched.flop
    darts, random = by_name["darts"], by_name["random"]
    assert [len(row.tabulated) for row in (darts, random)] == [1, 2]
    assert len(darts.mix_ranks) == len(darts.supernet_ranks) == 1 and darts.flop > 1e8
    assert darts.cost == {"seconds": 2 * darts.seconds, "flop": 2 * darts.flop}
    assert random.seconds == pytest.approx(4000, rel=0.1) and random.flop > 1e15
    assert set(darts.equal) == set(random.equal) == {"seconds", "flop"}
    assert random.equal["seconds"].evaluations == pytest.approx(random.equal["flop"].evaluations, rel=0.3)
    with open(tmp_path / "x" / "comparison.csv", newline="") as file:
        assert {row["method"] for row in csv.DictReader(file)} == {*by_name}
    saved = json.loads((tmp_path / "x" / "comparison.json").read_text())
    assert {row["name"]: row["tuning"] for row in saved} == {name: int(name == "darts") for name in by_name}
