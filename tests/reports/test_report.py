"""Pictures, page and table show the numbers that are in the run folder."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from dnas import cli
from dnas.config import Config
from dnas.errors import UserError
from dnas.files import append
from dnas.reports import html, plots
from dnas.reports import page as report
from dnas.runs import records


def history(edges: int, operations: int, epochs: int = 3) -> plots.MixHistory:
    weights = np.random.default_rng(0).dirichlet(np.ones(operations), (epochs, edges))
    names = [[f"operation_{o}" for o in range(operations)]] * edges
    return plots.MixHistory(list(range(epochs)), [f"{e + 1}<-0" for e in range(edges)], names, weights)


def size(path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.verify()
        assert image.format == "PNG"
        return image.size


def colours(path) -> set[tuple[int, ...]]:
    with Image.open(path) as image:
        return {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}


@pytest.fixture
def folder(tmp_path):
    config = Config(method="gdas", space="nasbench201", seed=2, seeds=2)
    with records.create(tmp_path / "run <1>", config, "dnas search --method gdas") as run:
        for epoch in (1, 2):
            for seed in (2, 3):
                accuracy = 0.5 + epoch / 10 + seed / 100
                row = {"step": 10 * epoch, "epoch": epoch, "seed": seed, "train_loss": 1 / epoch}
                run.log(row | {"valid_accuracy": accuracy, "learning_rate": 0.1, "entropy": 1.0, "broken": None})
                append(
                    run.folder / "mix.jsonl",
                    json.dumps(
                        {
                            "step": 10 * epoch,
                            "epoch": epoch,
                            "seed": seed,
                            "mix": {"cell": {"1<-0": {"none": 0.25, "skip_connect": 0.75}}},
                        }
                    )
                    + "\n",
                )
        for seed in (2, 3):
            run.log({"step": 20, "epoch": 2, "seed": seed, "test_accuracy": 0.8765, "parameters": 1234567})
        run.genotype(2, [{"cell": ["skip_connect", "<b>"]}, {"cell": ["nor_conv_3x3"]}])
        run.data({"name": "digits", "train images": 1437})
    return run.folder


@pytest.mark.parametrize(
    "histories",
    [
        {"normal": history(14, 8), "reduce": history(14, 8)},
        {"cell": history(6, 5)},
        {"cell": history(1, 2, epochs=1)},
        {"normal": history(3, 2), "reduce": history(5, 4)},
    ],
    ids=["darts", "nasbench201", "one epoch", "unequal kinds"],
)
def test_plot_alphas(histories, tmp_path):
    plots.plot_alphas(histories, tmp_path / "mix.png", "title")
    width, height = size(tmp_path / "mix.png")
    assert width > 200 and height > 150


def test_an_operation_has_one_colour_in_all_panels(tmp_path):
    first, second = history(2, 2), history(2, 2)
    second = second._replace(operations=[["operation_1", "operation_0"]] * 2)
    found = plots._colours({"normal": first, "reduce": second})
    assert list(found) == ["operation_0", "operation_1"]
    assert len(set(found.values())) == 2
    plots.plot_alphas({"normal": first, "reduce": second}, tmp_path / "mix.png")
    drawn = colours(tmp_path / "mix.png")
    assert {tuple(bytes.fromhex(colour[1:])) for colour in found.values()} <= drawn


def test_a_mix_history_is_read_back_by_edge_and_operation():
    def row(epoch, weights, names=("a", "b")):
        mix = {"cell": {edge: dict(zip(names, w, strict=True)) for edge, w in weights.items()}}
        return {"step": epoch, "epoch": epoch, "seed": 0, "mix": mix}

    rows = [
        row(1, {"1<-0": (1.0,)}, names=("a",)),  # a phase before with fewer operations
        row(2, {"1<-0": (0.25, 0.75), "2<-0": (0.5, 0.5)}),
        row(3, {"1<-0": (0.125, 0.875), "2<-0": (0.375, 0.625)}),
    ]
    found = plots.mix_histories(rows)[0]["cell"]
    assert found.epochs == [2, 3] and found.edges == ["1<-0", "2<-0"]
    assert found.operations == [["a", "b"], ["a", "b"]]
    np.testing.assert_array_equal(found.weights[1], [[0.125, 0.875], [0.375, 0.625]])


def test_a_mix_history_goes_through_phases_and_edges_with_different_operations(tmp_path):
    mixes = [
        {"1<-0": {"a": 0.5, "b": 0.3, "c": 0.2}, "2<-0": {"a": 0.1, "b": 0.3, "c": 0.6}},
        {"1<-0": {"a": 1.0}, "2<-0": {"b": 0.25, "c": 0.75}},
    ]
    rows = [{"step": i, "epoch": i, "seed": 0, "mix": {"cell": mix}} for i, mix in enumerate(mixes)]
    found = plots.mix_histories(rows)[0]
    assert found["cell"].operations == [["a", "b", "c"]] * 2 and found["cell"].epochs == [0, 1]
    nan = np.nan
    np.testing.assert_array_equal(found["cell"].weights[1], [[1.0, nan, nan], [nan, 0.25, 0.75]])
    ragged = plots.mix_histories(rows[1:])[0]
    assert ragged["cell"].operations == [["a"], ["b", "c"]]
    np.testing.assert_array_equal(ragged["cell"].weights, [[[1.0, nan], [0.25, 0.75]]])
    for history in (found, ragged):
        plots.plot_alphas(history, tmp_path / "mix.png")


def test_plot_curves_draws_only_what_there_is(tmp_path):
    rows = [{"step": s, "epoch": s, "seed": 0, "train_loss": 1 / s, "valid_loss": None} for s in (1, 2, 3)]
    plots.plot_curves(rows, tmp_path / "one.png")
    plots.plot_curves([row | {"valid_accuracy": 0.5, "entropy": 1.0} for row in rows], tmp_path / "three.png")
    assert size(tmp_path / "three.png")[1] > size(tmp_path / "one.png")[1]
    with pytest.raises(UserError, match="no curves to draw"):
        plots.plot_curves([{"step": 1, "epoch": 1}], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("found", [99.0, 92.5, 80.0])
def test_plot_ranking(found, tmp_path):
    plots.plot_ranking(found, [92.0, 93.0, 91.5], tmp_path / "ranking.png")
    assert size(tmp_path / "ranking.png") == (962, 468)


def test_the_page_holds_the_numbers_of_the_folder(folder):
    plots.plot_ranking(93.0, [92.0, 91.0], folder / "ranking.png")
    path = report.page(folder)
    text = path.read_text()
    assert path == folder / "report.html"
    assert "72.50 ± 0.71" in text, "best valid accuracy: mean and deviation of 0.72 and 0.73"
    assert "87.65" in text and "1,234,567" in text
    assert "gdas on digits, space nasbench201" in text
    assert "search.weights.learning_rate" in text and "dnas search --method gdas" in text
    assert "train images" in text and "1437" in text
    assert text.count("data:image/png;base64,") == 1, "ranking: curves and mixes are drawn by the page itself"
    assert "&lt;b&gt;" in text and "<b>" not in text.split("Genotype")[1].split("</section>")[0]
    assert 'src="http' not in text and "src='http" not in text
    for name in ("curves.png", "mix_seed_2.png", "mix_seed_3.png"):
        size(folder / name)


def test_the_page_of_a_run_that_has_just_begun(tmp_path):
    records.create(tmp_path / "run", Config()).close()
    text = report.page(tmp_path / "run").read_text()
    assert "darts on digits" in text and "data:image" not in text


def test_the_page_of_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="No such config"):
        report.page(tmp_path)


def test_the_table_compares_runs(folder, tmp_path):
    records.create(tmp_path / "fresh[b]", Config(seed=7)).close()
    console = Console(width=160, file=io.StringIO())
    console.print(report.table([folder, tmp_path / "fresh[b]"]))
    first, second = [line for line in console.file.getvalue().splitlines() if "digits" in line]
    assert first.split()[:2] == ["run", "<1>"]
    for number in ("gdas", "nasbench201", "2-3", "72.50 ± 0.71", "87.65", "1,234,567"):
        assert number in first
    assert second.split() == ["fresh[b]", "darts", "darts", "digits", "7", "-", "-", "-", "-"]


@pytest.mark.parametrize("in_the_way", ["curves.png", "report.html"])
def test_the_table_is_printed_where_no_page_can_be_written(in_the_way, folder, tmp_path, capsys):
    (folder / in_the_way).mkdir()
    records.create(tmp_path / "fresh", Config(seed=7)).close()
    assert cli.main(["report", str(folder), str(tmp_path / "fresh")]) == 2
    out, err = capsys.readouterr()
    assert "72.50 ± 0.71" in out and f"Open {tmp_path / 'fresh' / 'report.html'}" in out.replace("\n", "")
    assert err.startswith("dnas: Cannot write to ") and in_the_way in err and err.count("\n") == 1


def test_a_long_value_is_cut_on_a_page():
    found = html.shown(["word"] * 1000)
    assert found.endswith(" ... (5,998 characters)") and len(found) < 600
    assert html.shown(["a", "b"]) == "a, b"
