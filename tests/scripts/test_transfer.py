"""Transfer: which architectures are trained on which task, and the tables of what came out."""

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import dnas.reports.plots
import dnas.retrain
import dnas.search
from dnas import compare, find
from dnas.architectures.genotype import check, parse, random, to_json
from dnas.compare import Row, costs, early
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, called, to_dict
from dnas.errors import UserError, run_script
from dnas.reports.plots import Measure
from dnas.runs import loop, records

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("transfer", ROOT / "scripts" / "transfer.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
PLAIN = AugmentConfig(pad=1, flip=False)
BASE = Config(
    space="nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1",
    seeds=2,
    seed=5,
    search=SearchConfig(epochs=1, cells=1, channels=2, batch_size=32, augment=PLAIN),
    retrain=RetrainConfig(epochs=1, cells=1, channels=2, batch_size=32, auxiliary=0, drop_path=0, augment=PLAIN),
)
TASKS = {name: replace(BASE, data=f"digits:limit={limit}") for name, limit in (("few", 100), ("many", 200))}
SKIP, CONV = parse("|skip_connect~0|"), parse("|nor_conv_1x1~0|")
FOUND = {TASKS["few"].data: (SKIP, CONV), TASKS["many"].data: (CONV, CONV)}


@pytest.fixture
def trained(monkeypatch):
    """Searches that find what is said above, and trainings whose score says of what and on what they were."""
    done = []

    def searched(config, out, resume, quiet):
        with records.create(out, config) as record:
            record.genotype(1, [to_json(genotype) for genotype in FOUND[config.data]])
        return dnas.search.Result(out, config, FOUND[config.data], (0.5, 0.5))

    def run(config, genotype, out, **_):
        done.append((config.data, genotype, config.seed))
        out.mkdir(parents=True)
        score = 0.5 * (genotype == CONV) + 0.25 * (config.data == TASKS["many"].data) + 0.01 * (config.seed - 5)
        return dnas.retrain.Result(out, genotype, (score,), 1)

    monkeypatch.setattr(dnas.search, "run", searched)
    monkeypatch.setattr(dnas.retrain, "run", run)
    monkeypatch.setattr(dnas.reports.plots, "plot_comparison", lambda *_: None)
    monkeypatch.setattr(early, "check", lambda *_: None)
    monkeypatch.setattr(costs, "of_search", lambda out, config: 2e9)
    monkeypatch.setattr(loop, "forget_programs", lambda: None)
    return done


def test_each_architecture_is_trained_on_each_task(trained, tmp_path):
    for _ in range(2):  # the second time all is read
        found = script.transferred(TASKS, "|nor_conv_1x1~0|", tmp_path / "out", 1)
        few, many = ([(data, genotype) for data, genotype, _ in trained if data == one] for one in FOUND)
        assert len(few) == len(many) == 3, "both cells, and the one made by hand under its second seed"
    scores = {task: {row.name: row.trained for row in rows} for task, rows in found.items()}
    assert scores["few"]["found on few"] == pytest.approx([0, 0.5])
    assert scores["few"]["found on many"] == pytest.approx([0.5, 0.5])
    assert scores["many"]["found on few"] == pytest.approx([0.25, 0.75])
    assert scores["many"]["by hand"] == pytest.approx([0.75, 0.76])
    assert all(len(rows[compare.RANDOM]) == 1 for rows in scores.values())


def test_the_table_says_where_an_architecture_is_from_and_where_it_was_trained():
    def row(name, scores, **more):
        return Row(name, BASE, [SKIP] * len(scores), 0.0, scores, [], **more).plain()

    less = {"measure": Measure("perplexity", more=False)}
    found = {
        "few": [row("found on few", [0.8, 0.9]), row(compare.RANDOM, [0.5]), row("found on many", [0.7])],
        "many": [row("by hand", [80.0], **less), row("found on many", [90.0], **less), row("found on few", [], **less)],
    }
    header, lines = script.cells(found)
    assert header == ["trained on", "few [%]", "many [perplexity]"]
    assert lines == [
        ["found on few", "85.00 ± 7.07 *", "-"],
        ["found on many", "70.00", "90.00 *"],
        [compare.RANDOM, "50.00", "-"],
        ["by hand", "-", "80.00"],
    ]


@pytest.fixture
def transfer(tmp_path, monkeypatch):
    """The command with two families; `transfer(*arguments)` runs it, into the folder out."""
    experiment = tmp_path / "experiment.py"
    experiment.write_text(
        "import json\nfrom dnas.config import from_dict\n"
        f"TASKS = {json.dumps({name: to_dict(config) for name, config in TASKS.items()})!r}\n"
        "def families():\n"
        "    tasks = {name: from_dict(config) for name, config in json.loads(TASKS).items()}\n"
        "    others = {f'other_{name}': config for name, config in tasks.items()}\n"
        "    return {'cells': (tasks, '|nor_conv_1x1~0|'), 'others': (others, '|skip_connect~0|')}\n"
    )

    def run(*arguments):
        fixed = ["--out", str(tmp_path / "out"), "--random-cells", "0"]
        monkeypatch.setattr("sys.argv", ["transfer.py", str(experiment), *fixed, *arguments])
        script.main()

    return run


def test_the_command_writes_its_tables(trained, tmp_path, transfer, capsys):
    transfer("--only", "cells")
    text = (tmp_path / "out" / "transfer.md").read_text()
    assert "## cells\n\n| trained on | few [%] | many [%] |" in text
    assert "| found on few | 25.00 ± 35.36 * | 50.00 ± 35.36 |" in text
    assert "few [%]" in capsys.readouterr().out and "## others" not in text
    known = json.loads((tmp_path / "out" / "transfer.json").read_text())["families"]["cells"]
    assert {row["name"]: len(row["trained"]) for row in known["few"]} == dict.fromkeys(
        ["found on few", "found on many", "by hand"], 2
    )


def test_families_that_are_not_computed_keep_their_tables(trained, tmp_path, transfer):
    json_file, text = (tmp_path / "out" / f"transfer.{kind}" for kind in ("json", "md"))
    transfer("--only", "others")
    others = json.loads(json_file.read_text())["families"]["others"]
    table = text.read_text()
    done = len(trained)
    transfer("--only", "cells")
    found = json.loads(json_file.read_text())["families"]
    assert [*found] == ["cells", "others"] and found["others"] == others
    assert text.read_text().startswith("## cells") and text.read_text().endswith(f"\n{table}")
    assert len(trained) > done
    json_file.write_text('{"families": [1]}')
    with pytest.raises(UserError, match="has no tables of families .*: move it away"):
        transfer("--only", "cells")


@pytest.mark.parametrize(
    "content, said",
    [("", r"has no families\(\), for scripts/transfer.py"), ("families = lambda: {'cells': ()}", "'cell'.*cells")],
)
def test_a_wrong_experiment_or_family_is_refused_in_a_sentence(content, said, tmp_path, monkeypatch, capsys):
    experiment = tmp_path / "experiment.py"
    experiment.write_text(content)
    monkeypatch.setattr("sys.argv", ["transfer.py", str(experiment), "--out", str(tmp_path / "out"), "--only", "cell"])
    with pytest.raises(SystemExit):
        run_script(script.main)
    assert re.search(said, capsys.readouterr().err)


def test_the_tasks_of_the_experiment_have_architectures_in_common():
    for tasks, made in called(ROOT / "experiments" / "transfer.py", "families", None).values():
        spaces = [find.resolve("space", config.space) for config in tasks.values()]
        for space in spaces:
            check(parse(made), space)
            for other in spaces:
                check(random(other, 0), space)
