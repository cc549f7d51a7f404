"""Comparisons: every method searches, every cell is trained once, what is finished is kept."""

import json
import shutil
from dataclasses import replace

import jax
import pytest

import dnas.reports.page
import dnas.retrain
import dnas.search
from dnas import compare, paths
from dnas.architectures.genotype import parse
from dnas.compare import costs, searches, trainings
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, to_dict
from dnas.errors import StorageError, UserError
from dnas.reports.plots import Measure
from dnas.runs import loop, records
from dnas.tables import nasbench201 as tabular
from dnas.tasks.task import Score

PLAIN = AugmentConfig(pad=1, flip=False)
BASE = Config(
    space="nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1",
    data="digits:limit=200",
    seeds=2,
    search=SearchConfig(epochs=1, cells=1, channels=2, batch_size=32, augment=PLAIN),
    retrain=RetrainConfig(epochs=1, cells=1, channels=2, batch_size=32, auxiliary=0, drop_path=0, augment=PLAIN),
)
PERPLEXITY = Score("perplexity", more=False)
CELLS = [parse(f"|{name}~0|") for name in ("skip_connect", "nor_conv_1x1")]
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"


@pytest.mark.slow
def test_a_comparison_is_kept_and_goes_on(tmp_path, monkeypatch):
    single = replace(BASE, search=replace(BASE.search, levels="single"))
    failing = replace(BASE, method="gdas")
    whole = dnas.search.run

    def run(config, *args, **options):
        if config == failing:
            raise UserError("The loss became NaN or infinite at step 3.")
        return whole(config, *args, **options)

    monkeypatch.setattr(dnas.search, "run", run)
    programs = jax.devices()[0].client.live_executables
    loop.forget_programs()
    before = len(programs())  # of what other tests still hold
    rows = compare.run({"one": BASE, "two": single, "no": failing}, tmp_path / "all", random_cells=1, quiet=True)
    assert len(programs()) <= before, "a long comparison would hold too many programs"
    by_name = {row.name: row for row in rows}
    assert [row.score for row in rows] == sorted((row.score for row in rows), reverse=True)
    assert len(by_name["one"].genotypes) == len(by_name["one"].trained) == 2
    assert by_name[compare.RANDOM].trained and "NaN" in by_name["no"].failed
    distinct = {genotype for row in rows for genotype in row.genotypes}
    assert len(list((tmp_path / "all" / "cells").iterdir())) == len(distinct)
    assert (tmp_path / "all" / "comparison.png").stat().st_size > 5_000
    assert compare.table(rows).row_count == 4
    saved = json.loads((tmp_path / "all" / "comparison.json").read_text())
    assert [row["name"] for row in saved] == [row.name for row in rows]

    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "all").rglob("metrics.jsonl")}
    again = compare.run({"one": BASE, "two": single}, tmp_path / "all", random_cells=0, quiet=True)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert {row.name: row.trained for row in again}["one"] == by_name["one"].trained
    with pytest.raises(UserError, match="search.epochs: 1 -> 2"):
        compare.run({"one": replace(BASE, search=replace(BASE.search, epochs=2))}, tmp_path / "all", quiet=True)


@pytest.mark.slow
def test_what_was_interrupted_goes_on(tmp_path, monkeypatch):
    """A search with its seconds, a cell whoever found it; and never with another config."""

    def crash(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "drive", crash)
        compare.run({"one": BASE}, tmp_path / "all", random_cells=0, quiet=True)
    with pytest.raises(UserError, match="seeds: 2 -> 1"):
        compare.run({"one": replace(BASE, seeds=1)}, tmp_path / "all", random_cells=0, quiet=True)
    (tmp_path / "all" / "one" / "seconds.json").write_text('{"seconds": 1000}')
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "say", lambda text, quiet=False: "parameters on" in text and crash())
        compare.run({"one": BASE}, tmp_path / "all", random_cells=0, quiet=True)
    slower = replace(BASE, search=replace(BASE.search, order="weights_first"))
    (tmp_path / "all" / "one").rename(tmp_path / "elsewhere")
    found = json.loads((tmp_path / "elsewhere" / "found.json").read_text())
    assert found["seconds"] > 1000
    (tmp_path / "all" / "two").mkdir()
    found["config"] = to_dict(slower)
    del found["crc32"]
    (tmp_path / "all" / "two" / "found.json").write_text(json.dumps(found))
    (row,) = compare.run({"two": slower}, tmp_path / "all", random_cells=0, quiet=True)
    assert len(row.trained) == 2


@pytest.mark.slow
def test_a_cell_through_which_nothing_flows_counts_as_what_it_is_worth(tmp_path):
    """Left out, it would raise the mean of the method that found it."""
    cut = parse("|none~0|")
    row = compare.Row("one", replace(BASE, space="nasbench201:nodes=2"), [cut], 0.0, [], [])
    score = trainings.trainings([row], BASE, compare.Protocol(), tmp_path, True)
    assert score(row)[0].test <= 0.2


def test_a_folder_in_use_is_no_failure_of_a_method(tmp_path):
    folder = tmp_path / "all"
    folder.mkdir()
    with paths.locked(folder, "a comparison"):
        with pytest.raises(StorageError, match="is running a comparison in .*all: wait"):
            compare.run({"one": BASE}, folder, quiet=True)
        assert [path.name for path in folder.iterdir()] == [".lock"]
    (folder / "comparison.json").write_text("[]")
    (folder / "one").mkdir()
    with paths.locked(folder / "one", "a search"), pytest.raises(StorageError, match="is running .* in .*one: wait"):
        compare.run({"one": BASE}, folder, random_cells=0, quiet=True)
    assert json.loads((folder / "comparison.json").read_text()) == []
    assert [path.name for path in (folder / "one").iterdir()] == [".lock"]
    (folder / "one" / "notes.txt").write_text("of the user's")
    with pytest.raises(StorageError, match="one already exists and is not empty"):
        compare.run({"one": BASE}, folder, random_cells=0, quiet=True)


def shorter(content):
    return content[: len(content) // 2]


def changed(content):
    """As good a JSON with another digit, the last one that makes it another number: a float has some to spare."""
    for place in reversed([i for i, byte in enumerate(content.partition(b"crc32")[0]) if chr(byte).isdigit()]):
        other = content[:place] + (b"1" if content[place] != ord("1") else b"2") + content[place + 1 :]
        if json.loads(other) != json.loads(content):
            return other
    raise AssertionError("there is no digit to change")


DAMAGES = {"truncated": shorter, "a digit": changed, "garbage": lambda _: bytes(range(256))}
DAMAGES |= {text: lambda _, text=text: text.encode() for text in ("", "[1]", '{"config": 3}', "null", '"x"', "7")}


def test_a_damaged_file_of_a_comparison_is_written_anew_or_named(tmp_path, monkeypatch, capsys):
    """The searches and trainings themselves are in test_damage.py; here they only say again what they found."""
    done = []

    def searched(config, out, resume, quiet):
        with (records.resume if resume else records.create)(out, config):
            done.append((out.name, resume))
        return dnas.search.Result(out, config, (CELLS[config.seed],), (0.5,))

    def trained(config, genotype, out, resume, **_):
        with (records.resume if resume else records.create)(out, config):
            done.append((out.parent.name, resume))
        return dnas.retrain.Result(out, genotype, (0.25 + CELLS.index(genotype) / 8,), 1)

    monkeypatch.setattr(dnas.search, "run", searched)
    monkeypatch.setattr(dnas.retrain, "run", trained)
    monkeypatch.setattr(costs, "of_search", lambda out, config: 2e9)
    monkeypatch.setattr(loop, "forget_programs", lambda: None)
    monkeypatch.setattr(dnas.reports.plots, "plot_comparison", lambda *_: None)
    configs = {name: replace(BASE, seeds=1, seed=i) for i, name in enumerate(("one", "two"))}

    def run(folder):
        done.clear()
        rows = compare.run(configs, folder, random_cells=0, quiet=True)
        return [row._replace(seconds=0.0) for row in rows]

    whole = run(tmp_path / "whole")
    assert done == [("one", False), ("two", False), ("cells", False), ("cells", False)]
    assert run(tmp_path / "whole") == whole and done == []
    cell, other = (place.name for place in (tmp_path / "whole" / "cells").iterdir())
    shutil.copytree(tmp_path / "whole", tmp_path / "exchanged")
    for one, from_another in ((cell, other), (other, cell)):
        place = tmp_path / "whole" / "cells" / from_another / "score.json"
        shutil.copy(place, tmp_path / "exchanged" / "cells" / one)
    assert run(tmp_path / "exchanged") == whole and done == [("cells", True)] * 2
    assert f"is of another cell, {other}: it is written anew" in capsys.readouterr().err
    files = ("one/found.json", "one/cost.json", f"cells/{cell}/score.json", "comparison.json", "one/seconds.json")
    for name in files:
        for how in [*DAMAGES, "a folder", "removed"]:
            folder = tmp_path / f"{name} {how}".replace("/", " ")
            shutil.copytree(tmp_path / "whole", folder)
            file = folder / name
            content = file.read_bytes()
            file.unlink()
            if how == "a folder":
                file.mkdir()
            elif how != "removed":
                file.write_bytes(DAMAGES[how](content))
            if name == "one/seconds.json":  # needed only as long as the search has not ended
                (folder / "one" / "found.json").unlink()
            try:
                assert run(folder) == whole, (name, how)
                again = 0 if name in ("comparison.json", "one/cost.json") else 1
                assert how == "removed" or len(done) == again, (name, how)
            except UserError as error:
                assert str(folder) in str(error) and "\n" not in str(error), (name, how, error)
                refusable = ("a folder", "removed") if name == "comparison.json" else ("a folder",)
                assert name == "one/seconds.json" or how in refusable, (name, how, error)
            else:
                assert name != "one/seconds.json" or how == "removed", (name, how)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a\nb", "a" * 101, "cells", "comparison.json", "\0"])
def test_a_name_that_is_no_folder_of_its_own_is_refused(name, tmp_path):
    with pytest.raises(UserError, match="cannot name a method"):
        compare.check({name: BASE}, tmp_path / "x")
    compare.check({"darts, 2nd order (ours)": BASE}, tmp_path / "x")


@pytest.mark.parametrize("cells", [-3, 100_000_000])
def test_random_cells_are_of_a_number_that_can_be_trained(cells, tmp_path):
    with pytest.raises(UserError, match="random_cells must be at least 0 and at most 10,000"):
        compare.run({"one": BASE}, tmp_path / "x", random_cells=cells)
    assert not (tmp_path / "x").exists()


def test_what_cannot_be_compared_is_refused(tmp_path):
    with pytest.raises(UserError, match="share their data"):
        compare.check({"a": BASE, "b": replace(BASE, data="digits")}, tmp_path / "x")
    with pytest.raises(UserError, match="cannot name"):
        compare.check({"a/b": BASE}, tmp_path / "x")
    with pytest.raises(UserError, match="nothing to compare"):
        compare.check({}, tmp_path / "x")
    few = replace(BASE, space="darts", retrain=replace(BASE.retrain, cells=3))
    with pytest.raises(UserError, match="contain normal cells, and the supernet of 'a' does not"):
        compare.check({"a": few}, tmp_path / "x")
    compare.check({"a": few}, tmp_path / "x", train=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="holds no comparison"):
        compare.check({"a": BASE}, tmp_path / "full")


@pytest.mark.slow
def test_a_training_that_fails_fails_alone(tmp_path, monkeypatch):
    cells = [parse("|skip_connect~0|"), parse("|nor_conv_1x1~0|")]
    monkeypatch.setattr(searches, "searched", lambda name, config, *_: compare.Row(name, config, cells, 1.0, [], []))

    def run(config, genotype, out, **_):
        if genotype == cells[0]:
            raise UserError("The loss became NaN.")
        out.mkdir(parents=True)
        return dnas.retrain.Result(out, genotype, (0.5,), 1)

    monkeypatch.setattr(dnas.retrain, "run", run)
    (row,) = compare.run({"one": BASE}, tmp_path / "out", random_cells=0, quiet=True)
    assert row.trained == [0.5] and row.genotypes == cells
    cells[1:] = []
    (row,) = compare.run({"one": BASE}, tmp_path / "none", random_cells=0, quiet=True)
    assert row.trained == row.judged == [] and row.failed == "none of its cells could be trained"


def test_what_is_better_is_first(tmp_path, monkeypatch):
    """Where less is better, too; and the table and the picture say what was measured."""
    cells = {"good": [parse("|skip_connect~0|")], "bad": [parse("|nor_conv_1x1~0|")]}
    monkeypatch.setattr(
        searches, "searched", lambda name, config, *_: compare.Row(name, config, cells[name], 1, [], [])
    )

    def run(config, genotype, out, **_):
        out.mkdir(parents=True)
        return dnas.retrain.Result(out, genotype, (90.0 if genotype in cells["good"] else 120.0,), 1, PERPLEXITY)

    monkeypatch.setattr(dnas.retrain, "run", run)
    configs = {"bad": BASE, "good": BASE}
    for _ in range(2):  # the second time all is read
        rows = compare.run(configs, tmp_path / "out", random_cells=0, quiet=True)
        assert [(row.name, row.trained, row.score) for row in rows] == [
            ("good", [90.0], -90.0),
            ("bad", [120.0], -120.0),
        ]
        monkeypatch.setattr(dnas.retrain, "run", None)
    shown = compare.table(rows)
    assert [str(column.header) for column in shown.columns][2] == "retrained perplexity"
    assert list(shown.columns[2].cells) == ["90.00", "120.00"]
    assert (tmp_path / "out" / "comparison.md").read_text().splitlines()[2].startswith("| good | 1 | 90.00 | 90.00 |")


def test_how_far_methods_are_from_random_cells():
    rows = [
        compare.Row("good", BASE, CELLS, 1.0, [90.0, 91.0, 92.0, 93.0], [], measure=Measure(*PERPLEXITY)),
        compare.Row(compare.RANDOM, BASE, CELLS, 0.0, [95.0, 96.0, 97.0], [], measure=Measure(*PERPLEXITY)),
    ]
    header, lines = compare.cells(rows)
    assert header[-2:] == ["better than random", "p"]
    assert lines[0][-2:] == ["100%", "0.057"] and lines[1][-2:] == ["-", "-"]


def test_cells_are_looked_up(tmp_path, monkeypatch):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("DNAS_SHARED", raising=False)
    assert tabular.nasbench201(parse("1835")) == tabular.Row(54.2967, 15.6067, 16.3222, 73306)
    assert tabular.nasbench201(parse(CELL)).cifar10 > 60
    assert tabular.nasbench201(parse("DARTS_V2")) is None
    assert tabular.nasbench201(parse("|none~0|+|none~0|none~1|")) is None  # of a smaller space
