"""The command line as a user calls it."""

import dataclasses
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dnas import cli, compare, find
from dnas.architectures import zoo
from dnas.architectures.genotype import to_json, to_text
from dnas.blackbox.config import BlackboxConfig
from dnas.cli import parsing, sources
from dnas.config import Config, load
from dnas.runs import records

REPOSITORY = Path(__file__).parents[2]
TINY = [
    "--space=nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1",
    "--data=digits:limit=80",
    *("--search.epochs=2", "--search.cells=1", "--search.channels=2", "--search.batch_size=16"),
    *("--search.augment.pad=1", "--search.augment.flip=False"),
    *("--retrain.epochs=2", "--retrain.cells=1", "--retrain.channels=2", "--retrain.batch_size=32"),
]


@pytest.fixture
def dnas(capsys):
    """`code, out, err = dnas("show", "DARTS_V2")`."""

    def run(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(dnas):
    """The command ends with code 2 and one line on stderr that has all these words."""

    def check(arguments, *words):
        code, out, err = dnas(*arguments)
        assert code == 2, (out, err)
        assert err.startswith("dnas: ") and err.endswith("\n") and err.count("\n") == 1, err
        assert "Traceback" not in err
        for word in words:
            assert str(word) in err, f"'{word}' is not in: {err}"

    return check


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert cli.main(["search", *TINY, "--out", str(folder), "--quiet"]) == 0
    return folder


def shell(*arguments, **settings):
    command = [sys.executable, "-m", "dnas", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **settings)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["help"]])
def test_help_names_every_command(dnas, arguments):
    code, out, _ = dnas(*arguments)
    assert code == 0
    for command in cli.COMMANDS:
        assert re.search(rf"^  {command} +\w.*\.$", out, re.MULTILINE)
    assert out.count("dnas search experiments/") == 1


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(dnas, command):
    code, out, err = dnas(command, "--help")
    assert (code, err) == (0, "")
    assert f"dnas {command}" in out
    lines = re.findall(r"^[^\w-]*(?:-h, )?(--.*)", out, re.MULTILINE)
    named = {name for line in lines for name in re.findall(r"(?:^|, )--([\w.]+)", line)}
    assert "help" in named and named - {"help"} <= parsing.option_types(cli.COMMANDS[command].options).keys(), (
        "none is refused as unknown"
    )
    if command not in ("data", "list"):
        assert re.search(rf"^Examples:\n  dnas {command}", out, re.MULTILINE)


@pytest.mark.parametrize("gone", ["module", "events"])
def test_without_its_hook_tyro_says_itself_what_it_refuses(gone, dnas, monkeypatch):
    """The hook is no stable part of tyro."""
    if gone == "module":
        monkeypatch.setitem(sys.modules, "tyro._errors", None)
    else:
        monkeypatch.setattr(parsing, "_sentence", lambda _: None)
    for arguments in (["search", "--search.epochs", "x"], ["show"], ["search", "a.py", "b.py"]):
        code, out, err = dnas(*arguments)
        assert (code, out) == (2, "")
        assert f"dnas {arguments[0]} --help" in err and "Traceback" not in err
        assert err.count("\n") > 1, "a box, or its lines"
    assert dnas("show", "|none~0|", *SMALL)[0] == 0


def test_every_field_of_the_config_is_an_option_with_its_docstring(dnas):
    _, out, _ = dnas("search", "--help")
    for name in set(parsing.option_types(cli.search.Search)) - {"experiment"}:
        assert f"--{name}" in out
    assert "Adam's first decay. (default: 0.5)" in out
    _, out, _ = dnas("retrain", "--help")
    assert "--retrain.drop_path" in out
    assert "--search." not in out


def test_python_m_dnas_is_the_same_and_starts_without_jax():
    help_text = shell("--help")
    assert help_text.returncode == 0
    assert "usage: dnas" in help_text.stdout
    code = "from dnas import cli; import sys; cli.main(sys.argv[1:]); sys.exit('jax' in sys.modules)"
    for arguments in (["--help"], ["search", "--help"], ["list"], ["data"], ["search", "--search.epoch", "1"]):
        assert subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True).returncode == 0, arguments


def test_show_counts_as_the_paper(dnas, tmp_path):
    picture = tmp_path / "cells.png"
    code, out, _ = dnas("show", "DARTS_V2", "--png", picture)
    assert code == 0
    assert "3,349,342 parameters" in out
    assert "528,359,040 multiply-adds" in out
    assert "20 cells, 36 channels" in out
    assert "reduction cell" in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_path_may_begin_at_home(dnas, tmp_path, monkeypatch):
    """A shell puts the home folder into an argument that begins with ~, but not behind =."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cell.txt").write_text("`DARTS_V2`\n")
    code, out, _ = dnas("show", "~/cell.txt", *SMALL, "--png=~/cells.png")
    assert code == 0 and f"Wrote {tmp_path / 'cells.png'}" in out
    assert (tmp_path / "cells.png").exists()
    code, out, _ = dnas("show", "`DARTS_V2`", *SMALL, "--png", "~/again.png")
    assert code == 0 and out.startswith("DARTS_V2, published in") and (tmp_path / "again.png").exists()


def test_show_reads_texts_and_sizes(dnas):
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
    code, out, _ = dnas("show", text)
    assert code == 0
    assert text in out
    assert "3 stages of 5 cells, 16 channels" in out
    _, small, _ = dnas("show", text, "--channels", 4, "--layers", 1)
    assert "3 stages of 1 cells, 4 channels" in small
    code, out, _ = dnas("show", "DARTS_V2_rnn")
    assert code == 0
    assert "Network of width 850, 10,000 words" in out and "22,960,000 parameters" in out
    unknown = '{"space": "elsewhere", "cells": {"cell": {"edges": [[1, 0, "none"]], "concat": null}}}'
    code, out, _ = dnas("show", unknown)
    assert code == 0
    assert "The space 'elsewhere' is not built here, so its network is not counted." in out


SMALL = ("--channels", 2, "--cells", 3)


@pytest.mark.parametrize("name", ["DARTS_V2", "NASNet", "FairDARTS_a"])
def test_the_full_text_of_a_cell_is_a_cell(name, dnas, refused):
    """It is longer than any file may be named."""
    text = to_text(zoo.entry(name).genotype)
    assert len(text) > 255
    _, published, _ = dnas("show", name, *SMALL)
    for written in (text, text + ";", f"\ncell = {text}\n"):
        assert dnas("show", written, *SMALL)[1] == published.partition("\n\n")[2]
    refused(["retrain", text, "--retrain.batch_size", "5000"], "retrain.batch_size is 5000")


@pytest.mark.slow
def test_a_cell_through_which_nothing_flows_is_shown_with_a_warning_and_not_trained(dnas, refused, tmp_path):
    code, out, _ = dnas("show", "|none~0|", *SMALL)
    assert code == 0 and "would not depend on the image" in out
    assert "depend" not in dnas("show", "|skip_connect~0|", *SMALL)[1]
    refused(["retrain", "|none~0|", "--out", tmp_path / "run"], "not depend on the image; train another cell")
    space = "--space=darts:nodes=1,operations=skip_connect"
    code, out, _ = dnas("search", *TINY, space, "--method=fair_darts:threshold=1", "--out", tmp_path / "run", "--quiet")
    assert code == 0 and "would not depend on the image" in out


def test_show_names_cells_of_nasbench201(dnas):
    code, out, _ = dnas("show", "1835", *SMALL)
    assert code == 0 and out.startswith("Cell 1835 of NAS-Bench-201\n")
    assert dnas("show", to_text(zoo.nasbench201(1835)), *SMALL)[1] == out
    assert "Cell " not in dnas("show", "|none~0|", *SMALL)[1]
    assert dnas("show", "darts-v2", *SMALL)[1].startswith("DARTS_V2, published in ")


def test_show_shows_all_of_several_and_others_take_none_silently(dnas, refused, tmp_path):
    file = tmp_path / "found.txt"
    file.write_text(f"{to_text(zoo.nasbench201(1835))}\n{to_text(zoo.nasbench201(7))}\n")
    code, out, _ = dnas("show", file, *SMALL)
    assert code == 0
    for words in ("Genotype 1 of 2\n\nCell 1835 of", "\n\nGenotype 2 of 2\n\nCell 7 of"):
        assert words in out
    assert out.count("multiply-adds") == 2
    refused(["show", file, "--png", tmp_path / "cells.png"], "--png draws one genotype, here are 2")
    refused(["retrain", file], "there are 2: give one of them by itself")


@pytest.mark.parametrize("content", ["1835\n", f"{to_text(zoo.nasbench201(1835))}\n".encode("utf-16"), "\xff", ""])
def test_a_dash_is_standard_input(content, dnas, refused, monkeypatch):
    content = content if isinstance(content, bytes) else content.encode("latin-1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    sources.standard_input.cache_clear()
    if len(content) < 2:
        return refused(["show", "-"], "genotype")
    assert dnas("show", "-", *SMALL)[1] == dnas("show", "1835", *SMALL)[1]
    refused(["retrain", "-", "--retrain.batch_size", "5000"], "retrain.batch_size is 5000")  # read twice


def test_the_best_seed_of_a_run(dnas, tmp_path):
    cells = [zoo.nasbench201(index) for index in (5, 6, 7)]
    (tmp_path / "genotype.json").write_text(json.dumps([to_json(cell) for cell in cells]))
    rows = [{"step": 1, "epoch": 1, "seed": seed, "valid_accuracy": 0.5 + seed % 3 / 10} for seed in (3, 4, 5)]
    for lines, index in ((rows, 7), (rows[1:], 5), ([], 5), ([*rows, {**rows[1], "selected_accuracy": 0.9}], 6)):
        (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert sources.genotypes_of(str(tmp_path)) == [zoo.nasbench201(index)]


def test_a_cell_that_a_small_supernet_did_not_have(dnas, tmp_path):
    cell = {"edges": [[2, 0, "skip_connect"], [2, 1, "sep_conv_3x3"]], "concat": [2]}
    text = json.dumps({"space": "darts", "cells": {"reduce": cell}})
    _, out, _ = dnas("show", text)
    assert "reduction cell" in out and "It has no normal cell" in out
    _, out, _ = dnas("show", text, "--cells", 1, "--channels", 2)
    assert "Network of 1 cells" in out and "parameters" in out


def test_a_space_that_is_not_here_is_shown_and_not_counted(dnas):
    text = json.dumps(to_json(zoo.nasbench201(1835)) | {"space": "mine"})
    code, out, _ = dnas("show", text)
    assert code == 0 and "skip" in out and "The space 'mine' is not built here" in out


ODD = {"long": "x" * 300, "longer": "x/" * 3000 + "x", "of bytes": "\udcff\udcfe", "with lines": "a\nb", "no": "\0"}
PATHS = {  # every place where a path or a text is typed
    "search": ["search"],
    "search --out": ["search", *TINY, "--out"],
    "search --resume": ["search", "--resume", "--out"],
    "search --profile": ["search", *TINY, "--search.batch_size=5000", "--profile"],
    "retrain": ["retrain"],
    "retrain --out": ["retrain", "|skip_connect~0|", *(t for t in TINY if "search" not in t), "--resume", "--out"],
    "retrain --config": ["retrain", "DARTS_V2", "--config"],
    "retrain --resume": ["retrain", "--resume", "--out"],
    "show": ["show"],
    "show --png": ["show", "|none~0|", *SMALL, "--png"],
    "compare": ["compare"],
    "report": ["report"],
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", PATHS)
def test_no_text_is_an_offence_to_the_system(place, odd, dnas, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if place == "search --out" and odd in ("of bytes", "with lines"):
        pytest.skip("a folder may be named so")
    code, _, err = dnas(*PATHS[place], ODD[odd])
    assert code == 2 and err.startswith("dnas: ") and "Traceback" not in err
    if odd != "with lines":
        assert err.count("\n") == 1, err


def test_what_the_system_refuses_is_named_in_short_and_a_bug_is_a_bug(refused, monkeypatch):
    def opens(_):
        Path("x" * 5000).stat()

    def broken(_):
        raise OSError("a bug")

    monkeypatch.setitem(cli.COMMANDS, "list", cli.Command(cli.listing.List, opens))
    refused(["list"], "Cannot use the file 'xxxxx", "xxx...xxx", "name too long")
    monkeypatch.setitem(cli.COMMANDS, "list", cli.Command(cli.listing.List, broken))
    with pytest.raises(OSError, match="a bug"):
        cli.main(["list"])


def test_letters_that_the_terminal_lacks_end_nothing():
    result = shell("show", "|none~0|", *SMALL, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stderr) == (0, "")
    assert "none" in result.stdout


@pytest.mark.slow
def test_show_reads_a_run_folder_and_its_json(dnas, searched):
    _, out, _ = dnas("show", searched, "--channels", 2, "--cells", 1)
    assert "2 channels" in out
    assert dnas("show", searched / "genotype.json", "--channels", 2, "--cells", 1)[1] == out


def test_data_says_where_and_how(dnas, monkeypatch, tmp_path):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path))
    code, out, _ = dnas("data")
    assert code == 0
    for name in find.described("data set"):
        assert f"\n{name}\n" in out
    assert "in an installed package" in out
    assert str(tmp_path / "cifar-10-python.tar.gz") in out


def test_list_has_one_line_for_each(dnas):
    code, out, _ = dnas("list")
    assert code == 0
    for name in [*find.functions("dnas.nets.ops"), *(name for what in find.PACKAGES for name in find.described(what))]:
        assert len(re.findall(rf"^  {name}\b\S* +\S.*$", out, re.MULTILINE)) >= 1, name
    assert "darts:order=first,radius=0.01" in out
    assert re.search(r"experiments/small_digits.py +\S", out)
    assert re.search(r"experiments/darts_minus.py +\S.*\n +:cifar10 :nasbench201 :s1 :s2 :s3 :s4\n", out)


def test_weights_of_another_run_are_an_option(refused, tmp_path):
    refused(["search", *TINY, "--from", tmp_path, "--out", tmp_path / "run"], "holds no run", "check --from")


def test_a_search_leaves_a_run_folder(searched):
    config = load(searched)
    assert config.search.epochs == 2
    assert config.search.augment.flip is False
    assert "search" not in json.loads((searched / "environment.json").read_text())["commit"]
    assert {"report.html", "cells.png", "genotype.json"} <= {path.name for path in searched.iterdir()}


@pytest.mark.slow
def test_retrain_takes_config_and_genotype_of_a_run(dnas, searched):
    code, out, _ = dnas("retrain", searched, "--retrain.epochs", 1, "--quiet")
    assert code == 0
    assert re.search(r"Test accuracy: [\d.]+ %, [\d,]+ parameters", out)
    config = load(searched / "retrain")
    assert config.retrain.epochs == 1
    assert config.search == load(searched).search
    assert records.read_genotypes(searched / "retrain") == records.read_genotypes(searched)
    code, out, _ = dnas("retrain", "--out", searched / "retrain", "--resume", "--quiet")
    assert code == 0
    assert "Test accuracy" in out
    code, out, _ = dnas("report", searched, searched / "retrain", searched / "genotypes")
    assert code == 0
    assert "digits" in out and "genotypes: it is no run" in re.sub(r"\s+", " ", out)


def test_the_best_seed_is_retrained(tmp_path):
    kinds = [{"space": "darts", "cells": {}} for _ in range(3)]
    for number, kind in enumerate(kinds):
        kind["cells"] = {"normal": {"edges": [[2, 0, f"op{number}"]], "concat": [2]}}
    (tmp_path / "genotype.json").write_text(json.dumps(kinds))
    rows = [
        {"step": s, "seed": 5 + i, "valid_accuracy": a}
        for s, i, a in [(1, 0, 0.9), (1, 1, 0.1), (1, 2, 0.1), (2, 0, 0.5), (2, 1, 0.7), (2, 2, 0.6)]
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert sources.genotype_of(str(tmp_path)).cell("normal").edges[0].operation == "op1"


@pytest.mark.slow
def test_an_interrupted_search_says_how_to_go_on_and_that_works(tmp_path):
    folder = tmp_path / "my run"
    arguments = [*TINY, "--search.epochs=4000", "--checkpoint_epochs=500", "--out", folder]
    command = [sys.executable, "-m", "dnas", "search", *map(str, arguments)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    deadline = time.monotonic() + 240
    while not (folder / "metrics.jsonl").exists():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 130, err
    assert "Traceback" not in err
    said = re.search(r"Go on with: (.*)$", err, re.MULTILINE)
    assert said and said[1].endswith("search --out 'my run' --resume"), err
    again = subprocess.Popen(
        ["bash", "-c", f"exec {said[1]}"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    rows = len(records.read_metrics(folder))
    while "Resuming at step" not in (line := again.stderr.readline()):
        assert line, "ended without resuming"
    while len(records.read_metrics(folder)) <= rows:
        assert again.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    again.send_signal(signal.SIGTERM)
    assert again.wait(timeout=120) == 130


def test_an_experiment_gives_the_defaults_and_options_override(dnas, tmp_path, refused):
    file = tmp_path / "mine.py"
    file.write_text("from dnas.config import *\ndef config():\n    return Config(data='digits:limit=7', seed=4)\n")
    refused(["search", file], "search.batch_size is 64", "has 3 images")
    refused(["search", file, "--search.batch_size", 5], "search.batch_size is 5", "has 3 images")
    (tmp_path / "config.json").write_text('{"space": "dart"}')
    refused(["search", tmp_path / "config.json"], "Unknown space 'dart'", "darts")
    refused(["search", tmp_path], "Unknown space 'dart'")
    refused(["search", tmp_path, "--space", "nasbench"], "Unknown space 'nasbench'", "nasbench201")


SETTINGS = """from dnas.config import *
SETTINGS = {"whole": 2000, "part": 7}
def config(setting="whole"):
    return Config(data=f"digits:limit={SETTINGS[setting]}")
def configs(setting="whole"):
    return {setting: config(setting)}
"""


def test_a_setting_of_an_experiment_is_named_behind_a_colon(refused, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SETTINGS)
    refused(["search", f"{file}:part"], "search.batch_size is 64", "has 3 images")
    refused(["retrain", "DARTS_V2", "--config", f"{file}:part"], "retrain.batch_size is 96", "7 train images")
    refused(["search", f"{file}:parts"], f"Unknown setting of {file}: 'parts'. Did you mean part?")
    refused(["search", f"{file}:all"], "'all'. Known: part, whole.")


def test_a_run_records_the_setting_as_it_was_typed(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(SETTINGS)
    arguments = ["search", f"{file}:part", *(t for t in TINY if "data" not in t), "--search.batch_size=3", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["dnas", *arguments, f"--out={tmp_path / 'run'}"])

    def interrupted(*_):
        raise KeyboardInterrupt

    job = importlib.import_module("dnas.search.job").Job
    monkeypatch.setattr(job, "go", interrupted)  # what is recorded is, before the first step
    assert cli.main() == 130
    assert load(tmp_path / "run").data == "digits:limit=7"
    assert f"search {file}:part --space=" in json.loads((tmp_path / "run" / "environment.json").read_text())["command"]


MISTAKES = {
    "command": (["serch"], "Unknown command 'serch'. Did you mean search?"),
    "space": (["search", "--space", "dart"], "Unknown space 'dart'. Did you mean darts?"),
    "method": (["search", "--method", "drts"], "Unknown method 'drts'. Did you mean darts"),
    "data": (["search", "--data", "digit"], "Unknown data set 'digit'. Did you mean digits"),
    "operation": (["search", "--space", "darts:operations=sep_conv"], "Unknown operation 'sep_conv'", "sep_conv_3x3"),
    "setting": (["search", "--method", "darts:oder=second"], "setting of method darts: 'oder'", "order"),
    "setting's value": (["search", "--method", "darts:order=third"], "'third'", "first"),
    "setting's form": (["search", "--method", "darts:second"], "Cannot read 'second'", "key=value"),
    "option": (["search", "--search.epoch", "3"], "'--search.epoch'", "--search.epochs"),
    "option, short": (["search", "--epochs", "3"], "'--epochs'", "--search.epochs", "--retrain.epochs"),
    "option of another command": (["retrain", "DARTS_V2", "--search.epochs", "3"], "'--search.epochs'"),
    "option, far": (["show", "DARTS_V2", "--zzz"], "'--zzz' of dnas show", "dnas show --help"),
    "whole number": (["search", "--search.epochs", "x"], "--search.epochs must be a whole number, not 'x'"),
    "number": (["search", "--search.weights.decay=x"], "--search.weights.decay must be a number, not 'x'"),
    "choice": (["search", "--dtype", "float16"], "--dtype must be one of 'float32'", "not 'float16'"),
    "truth": (["search", "--search.augment.flip", "maybe"], "--search.augment.flip must be one of 'True', 'False'"),
    "value": (["search", "--search.epochs"], "--search.epochs needs a value"),
    "argument": (["search", "a.py", "b.py"], "Unexpected argument: b.py"),
    "whole number, if any": (["test", "runs", "--seed", "x"], "--seed must be a whole number, not 'x'"),
    "flag's value": (["search", "--resume=yes"], "--resume takes no value, so leave out '=yes'"),
    "no cell": (["show"], "dnas show needs a CELL"),
    "no comparison": (["compare"], "dnas compare needs an EXPERIMENT"),
    "no cell to train": (["retrain"], "dnas retrain needs a cell"),
    "no run to report": (["report"], "at least one run folder"),
    "not a run": (["report", "/nowhere"], "There is no run in /nowhere"),
    "epochs": (["search", "--search.epochs", "0"], "search.epochs must be at least 1", "not 0"),
    "cells": (["search", "--search.cells", "-1"], "search.cells must be at least 1", "not -1"),
    "batch": (["search", "--search.batch_size", "0"], "search.batch_size must be at least 1"),
    "seeds": (["search", "--seeds", "0"], "seeds must be at least 1"),
    "nan": (["search", "--search.weights.learning_rate", "nan"], "search.weights.learning_rate must be", "not nan"),
    "portion": (["search", "--search.valid_portion", "1"], "search.valid_portion must be at least 0 and below 1"),
    "no validation": (["search", "--search.valid_portion", "0"], "search.valid_portion is 0"),
    "large batch": (["search", "--search.batch_size", "5000"], "search.batch_size is 5000", "at most 719"),
    "large batch to train": (["retrain", "DARTS_V2", "--retrain.batch_size", "5000"], "retrain.batch_size is 5000"),
    "no config": (["search", "nowhere.py"], "No such config: 'nowhere.py'"),
    "resume nothing": (["search", "--resume"], "--resume needs --out"),
    "resume nowhere": (["search", "--out", "/nowhere", "--resume"], "/nowhere holds no run"),
    "retrain nowhere": (["retrain", "--out", "/nowhere", "--resume"], "/nowhere holds no run"),
    "published": (["show", "DARTS_V3"], "Unknown published cell 'DARTS_V3'", "darts_v2"),
    "malformed": (["show", "Genotype(normal=["], "Cannot read the genotype"),
    "malformed string": (["show", "|nor_conv_3x3~1|"], "NAS-Bench-201 string"),
    "no such file": (["show", "nowhere.json"], "Cannot read the genotype file 'nowhere.json'"),
    "no such folder": (["show", "runs/nowhere"], "Cannot read the genotype file 'runs/nowhere'"),
    "no run": (["show", "."], "The folder '.' holds no genotype.json"),
    "no run to train": (["retrain", "."], "The folder '.' holds no genotype.json"),
    "no index": (["show", "15625"], "an index from 0 to 15624"),
    "no nodes": (["show", '{"space": "darts", "cells": {"normal": {"edges": [], "concat": []}}}'], "found []"),
    "another space's": (["show", '{"space": "darts", "cells": {"cell": {"edges": [], "concat": null}}}'], "normal"),
    "NUL": (["search", "--data", "npz:path=\0"], "NUL character"),
    "misfit": (["retrain", "DARTS_V2", "--space", "nasbench201"], "cells normal, reduce", "nasbench201"),
    "unknown operation": (["show", "|conv~0|"], "Unknown operation", "'conv'"),
    "recurrent": (["retrain", "DARTS_V2_rnn"], "Networks of the space 'rnn' read tokens", "task 'images' on 'digits'"),
    "stem": (["show", "|nor_conv_3x3~0|", "--stem", "imagenet"], "stem 'cifar' only"),
    "picture": (["show", "DARTS_V2", "--png", "cells.jpg"], "ends in .png", "'cells.jpg'"),
    "channels": (["show", "DARTS_V2", "--channels", "-4"], "channels must be at least 1", "not -4"),
    "odd channels": (["show", "DARTS_V2", "--stem", "imagenet", "--channels", "3"], "3", "even"),
    "data's setting": (["search", "--data", "digits:limit=-1"], "'limit'", "at least 0"),
    "no path": (["search", "--data", "npz"], "needs the path of a file"),
    "no file": (["search", "--data", "npz:path=/nowhere.npz"], "Cannot read /nowhere.npz"),
    "a line break in a data file": (["search", "--data", "npz:path=/no\nwhere.npz"], "Cannot read /no\\nwhere.npz"),
    "a line break in a config": (["search", "no\nwhere.py"], "No such config: 'no\\nwhere.py'"),
    "a line break in a picture": (["show", "DARTS_V2", "--png", "no\nwhere/a.png"], "not 'no\\nwhere/a.png'"),
    "a line break in a run": (["report", "no\nwhere"], "There is no run in no\\nwhere"),
    "a line break in a training": (["test", "no\r\nwhere"], "no\\r\\nwhere"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence(name, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, *words = MISTAKES[name]
    refused(arguments, *words)
    assert not (tmp_path / "runs").exists(), "a refused command leaves nothing"


def test_missing_truncated_and_hostile_data(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path))
    refused(["search", "--data", "cifar10"], "cifar10", "cifar-10-python.tar.gz", tmp_path)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"\x1f\x8b\x08 cut")
    refused(["search", "--data", "cifar10"], "truncated or corrupt")
    hostile = tmp_path / "hostile.npz"
    np.savez(hostile, x=np.array([{"a": 1}], dtype=object), y=np.zeros(1, int))
    refused(["search", "--data", f"npz:path={hostile}"], "hostile.npz", "Python objects")


def test_broken_experiments(refused, tmp_path):
    file = tmp_path / "mine.py"
    for text, words in {
        "import nothing_of_this_name\n": ["failed", "ModuleNotFoundError", "nothing_of_this_name"],
        "def config(:\n": ["SyntaxError"],
        "x = 1\n": ["no config()", "dnas compare"],
        "def config():\n    return 3\n": ["must return", "int"],
        "from dnas.config import Config\ndef config():\n    return Config(sed=3)\n": ["sed"],
        "from dnas.config import Config\ndef config():\n    return Config(seed='a')\n": ["seed must be of type int"],
    }.items():
        file.write_text(text)
        refused(["search", file], "mine.py" if "type int" not in words[0] else "seed", *words)
    file = tmp_path / "mine.json"
    file.write_text('{"search": {"epoch": 3}}')
    refused(["search", file], "Unknown config field search.: 'epoch'", "epochs")
    file.write_text("{")
    refused(["search", file], "not valid JSON")


def test_a_comparison_takes_names_and_seeds(dnas, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(compare, "run", lambda configs, *_, **__: seen.update(configs) or [])
    file = tmp_path / "mine.py"
    file.write_text("from dnas.config import Config\ndef configs():\n    return {'a': Config(), 'b': Config()}\n")
    code, *_ = dnas("compare", file, "--only", "b", "--seed", 8, "--seeds", 3, "--out", tmp_path / "out")
    assert code == 0
    assert seen == {"b": Config(seed=8, seeds=3)}


def test_a_comparison_takes_its_protocol_from_the_file_and_the_line(dnas, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(compare, "run", lambda configs, *_, protocol, **__: seen.append((configs, protocol)) or [])
    file = tmp_path / "mine.py"
    file.write_text(
        "from dnas.blackbox.config import BlackboxConfig\nfrom dnas.compare import Protocol\n"
        "from dnas.config import Config\ndef configs():\n    return {'a': Config(), 'b': BlackboxConfig()}\n"
        "def protocol():\n    return Protocol(train_seeds=2, supernet_cells=9, tuning={'a': 1, 'b': 2})\n"
    )
    options = ["--learning_rates", ".025", ".1", "--weight_decays", "1e-3", "--supernet_cells", 0]
    assert [dnas("compare", file, "--only", "b", "--seeds", 3, *more)[0] for more in ([], options)] == [0, 0]
    plain, typed = (protocol for _, protocol in seen)
    assert seen[0][0] == {"b": BlackboxConfig(runs=3)}
    assert plain == compare.Protocol(train_seeds=2, supernet_cells=9, tuning={"b": 2})
    assert typed == dataclasses.replace(plain, learning_rates=(0.025, 0.1), weight_decays=(1e-3,), supernet_cells=0)


def test_a_comparison_is_named_after_its_file_and_setting(dnas, tmp_path, monkeypatch):
    folders = []
    monkeypatch.setattr(compare, "run", lambda configs, out, **_: folders.append((list(configs), str(out))) or [])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SETTINGS)
    assert [dnas("compare", f"mine.py{setting}")[0] for setting in ("", ":part")] == [0, 0]
    assert folders == [(["whole"], "runs/mine"), (["part"], "runs/mine_part")]


def test_a_run_folder_is_never_overwritten(refused, searched):
    before = {path: path.stat().st_mtime_ns for path in searched.rglob("[!.]*") if path.is_file()}  # not the lock
    refused(["search", *TINY, "--out", searched], "already exists", "--resume", "--out")
    refused(["search", "--out", searched, "--resume", "--search.channels", 9], "search.channels: 2 -> 9")
    refused(["search", "--out", searched, "--resume", "--search.epochs", 1], "search.epochs 2", "for longer, not for 1")
    refused(["search", "--data", "digits", "--out", searched], "already exists")
    after = {path: path.stat().st_mtime_ns for path in searched.rglob("[!.]*") if path.is_file()}
    assert before == after


@pytest.mark.slow
def test_a_loss_that_is_not_finite_names_the_step(refused, tmp_path):
    refused(
        [
            "search",
            *TINY,
            "--search.weights.learning_rate=1e9",
            "--search.weights.clip=0",
            "--quiet",
            f"--out={tmp_path}/a",
        ],
        "NaN or infinite at step",
        "smaller learning rate",
    )


def test_a_crash_is_a_crash(monkeypatch):
    def broken(_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(cli.COMMANDS, "list", cli.Command(cli.listing.List, broken))
    with pytest.raises(ZeroDivisionError):
        cli.main(["list"])


def test_a_closed_pipe_is_no_error():
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m dnas list | head -1"], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
