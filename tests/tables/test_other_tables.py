"""NAS-Bench-Macro, random DARTS cells and recorded searches: what they are known for, and files that are damaged."""

import io
import json
import lzma
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from dnas import find
from dnas.architectures.genotype import parse, to_text
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig
from dnas.errors import UserError
from dnas.evaluators.truths import of_space
from dnas.tables import nasbench_macro, random_darts, robustdarts
from dnas.tables.lookup import here, looked_up, place_of


def needs(module):
    return pytest.mark.skipif(module.locate().found is None, reason=f"needs {module.FILE} of DNAS_SHARED")


# --- NAS-Bench-Macro


@needs(nasbench_macro)
def test_what_nasbench_macro_is_known_for():
    table = find.resolve("table", "nasbench_macro")
    test = table.column("cifar10", "test_50")
    assert (round(test.min(), 2), round(test.max(), 2)) == (45.36, 93.13)
    best = nasbench_macro.of_digits("22212220")
    assert test[place_of(table, best)] == test.max()
    found = looked_up(table, best)
    assert found["data"]["cifar10"]["rank"] == 1 and found["data"]["cifar10"]["parameters"] == 1985514
    assert found["isomorphic"] == 2  # 22212202 has its identity elsewhere in the last stage
    assert -1 < found["data"]["cifar10"]["regret"] <= 0 and "seconds_50" not in found["data"]["cifar10"]


@needs(nasbench_macro)
def test_isomorphic_networks_were_trained_once():
    table = find.resolve("table", "nasbench_macro")
    assert len(np.unique(table.classes)) == 9 * 21 * 21
    for values in table.columns.values():
        np.testing.assert_array_equal(values, values[table.classes])


def test_a_network_of_layers_is_read_as_it_is_written():
    genotype = nasbench_macro.of_digits("02100210")
    assert to_text(genotype).startswith("nasbench_macro(block=[identity, mb6_k5, mb3_k3, identity, ")
    assert parse(to_text(genotype)) == genotype
    assert nasbench_macro.of_digits("0210021") is None and nasbench_macro.of_digits("02100213") is None


# --- random DARTS


@needs(random_darts)
def test_what_random_darts_cells_are_known_for():
    """Yang et al. 2020: 96.95 ± 0.23 (96.03 to 97.41), and how early epochs rank them as the last one does."""
    curves = random_darts.curves()
    last = curves[:, -1]
    assert curves.shape == (214, 600)
    np.testing.assert_allclose(
        (last.mean(), last.std(), last.min(), last.max()), (96.95, 0.23, 96.03, 97.41), atol=0.005
    )
    table = find.resolve("table", "random_darts")
    taus = [kendalltau(table.column("cifar10", f"test_{epoch}"), last).statistic for epoch in table.epochs[:-1]]
    np.testing.assert_allclose(taus, (0.28, 0.27, 0.31, 0.48, 0.63), atol=0.005)


@needs(random_darts)
def test_what_seeds_depths_and_methods_differ_by():
    depths, seeds = random_darts.pairs("8_to_20_cells"), random_darts.pairs("different_seed_24")
    assert kendalltau(*depths.T).statistic == pytest.approx(0.54, abs=0.005)
    assert kendalltau(*seeds.T).statistic == pytest.approx(0.58, abs=0.005)
    assert np.abs(seeds[:, 0] - seeds[:, 1]).mean() == pytest.approx(0.125, abs=0.001)
    ten = random_darts.methods()["CIFAR10"]
    found = {name: round(float(values.mean()), 2) for name, values in ten.items()}
    assert (found["DARTS"], found["Random DARTS"], found["PDARTS"], found["ENAS"]) == (97.23, 96.92, 97.12, 95.85)
    assert ten["DARTS"].shape == (8,)


@needs(random_darts)
def test_a_random_cell_is_looked_up_by_its_number_or_its_genotype():
    table = find.resolve("table", "random_darts")
    cell = table.notation("17")
    assert table.notation("214") is None and place_of(table, cell) == 17
    ten = looked_up(table, parse(to_text(cell)))["data"]["cifar10"]
    assert ten["test_600"] == random_darts.curves()[17, -1] and 1 <= ten["rank"] <= 214
    for other in ("DARTS_V2", "PC_DARTS_cifar"):
        with pytest.raises(UserError, match="none of the 214 that the table 'random_darts' knows: give one of them"):
            looked_up(table, parse(other))


# --- searches of RobustDARTS


@needs(robustdarts)
def test_the_recorded_searches():
    runs = robustdarts.searches()
    assert len(runs) == 211 and {(run.space, run.data) for run in runs} == {("s1", "cifar10"), ("s3", "svhn")}
    measured = [run for run in runs if len(run.measured)]
    assert len(measured) == 67 and all(run.measured.tolist() == [*range(0, 50, 2), 49] for run in measured)
    assert all(len(run.genotypes) == len(run.valid) == 50 for run in runs)
    assert (runs[0].decay, runs[0].probability, runs[0].seed) == (0.0003, 0.0, 1)
    assert runs[0].eigenvalues[0] == pytest.approx(0.17884, abs=1e-5) and runs[0].valid[0] == 53.916


# --- files that are damaged

CELL = "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=[2], reduce=[('skip_connect', 0), "
CELL += "('skip_connect', 1)], reduce_concat=[2])"
RUN = {
    **{"space": "s1", "dataset": "cifar10", "drop_path_or_cutoutprob": 0.0, "l2": 0.1, "seed": 1},
    **{"genotype_per_epoch": [CELL] * 2, "valid_acc_per_epoch": [1.0, 2.0], "dominant_eig": [[0, 0.1, 56]]},
}
NETWORK = {"test_acc": [90.0, 91.0, 92.0], "params": 5, "flops": 7}


def macro(**changes):
    digits = ["".join(map(str, row)) for row in np.ndindex(*[3] * 8)]
    return {name: NETWORK for name in digits} | {"00000000": NETWORK | changes}


def tar(member, content):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return lzma.compress(file.getvalue(), preset=0)


BROKEN = {  # file -> what is in it, and what is said
    "no archive": (nasbench_macro, b"not xz", "truncated or corrupt"),
    "cut off": (nasbench_macro, tar(nasbench_macro.MEMBER, b"{}")[:-20], "truncated or corrupt"),
    "another member": (nasbench_macro, tar("other", b"{}"), "no member"),
    "no JSON": (nasbench_macro, tar(nasbench_macro.MEMBER, b"{" * 10), "truncated or corrupt"),
    "deep JSON": (nasbench_macro, tar(nasbench_macro.MEMBER, b"[" * 500_000), "truncated or corrupt"),
    "few networks": (nasbench_macro, tar(nasbench_macro.MEMBER, b'{"00000000": {}}'), "all 6,561 networks"),
    "NaN": (nasbench_macro, macro(test_acc=[90.0, float("nan"), 9.0]), "no 'test_acc' of 3 numbers from 0 to 100"),
    "two seeds": (nasbench_macro, macro(test_acc=[90.0, 91.0]), "no 'test_acc' of 3 numbers"),
    "a text": (nasbench_macro, macro(params="many"), "no 'params' of 1 numbers"),
    "no list of runs": (robustdarts, {"a": 1}, "no list of runs"),
    "a run without cells": (robustdarts, [{"space": "s1"}], "genotype_per_epoch"),
    "lengths": (robustdarts, [RUN | {"valid_acc_per_epoch": [1.0]}], "not as many cells"),
    "no cell": (robustdarts, [RUN | {"genotype_per_epoch": ["1", "2"]}], "no Genotype"),
    "descending": (robustdarts, [RUN | {"dominant_eig": [[1, 0.1], [0, 0.1]]}], "do not ascend"),
    "no percents": (robustdarts, [RUN | {"valid_acc_per_epoch": [1.0, 200.0]}], "no percents"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_archives(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path))
    module, content, says = BROKEN[kind]
    if not isinstance(content, bytes):
        content = tar(module.MEMBER, json.dumps(content).encode())
    (tmp_path / module.FILE).write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        module.table() if module is nasbench_macro else module.searches()
    assert str(tmp_path) in str(error.value) and "get " in str(error.value)


def test_whole_archives_of_the_same_kind_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path))
    (tmp_path / nasbench_macro.FILE).write_bytes(tar(nasbench_macro.MEMBER, json.dumps(macro()).encode()))
    (tmp_path / robustdarts.FILE).write_bytes(tar(robustdarts.MEMBER, json.dumps([RUN]).encode()))
    table = nasbench_macro.table()
    assert (table.columns["cifar10_test_50"] == 91).all() and (table.columns["cifar10_mflops"] == 7e-6).all()
    (run,) = robustdarts.searches()
    assert run.measured.tolist() == [0] and run.eigenvalues.tolist() == [0.1] and run.valid.tolist() == [1, 2]


@pytest.mark.parametrize(
    "cells, curves, says",
    [
        ({"genotypes": []}, np.zeros((1, 600)), "no 'genotypes'"),
        ([CELL], np.zeros((1, 600)), "no 'genotypes'"),
        ({"genotypes": [1]}, np.zeros((1, 600)), "one of its cells is no Genotype"),
        ({"genotypes": [CELL]}, np.zeros((1, 599)), "no curves of 600 epochs"),
        ({"genotypes": [CELL]}, np.full((1, 600), np.nan), "no percents"),
        ({"genotypes": [CELL]}, np.zeros((2, 600)), "has 1 cells and .* 2 curves"),
    ],
)
def test_broken_files_of_random_cells(cells, curves, says, tmp_path, monkeypatch):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path))
    (tmp_path / random_darts.FILE).write_bytes(lzma.compress(json.dumps(cells).encode()))
    np.savez(tmp_path / random_darts.CURVES, test_accuracy=curves)
    with pytest.raises(UserError, match=says):
        random_darts.table()


# --- searches on them


@needs(nasbench_macro)
def test_a_search_on_a_table_without_a_space_of_its_own():
    config = BlackboxConfig("random_search", "table:table=nasbench_macro", budget="60evaluations", runs=8)
    found = blackbox.run(config).summary
    assert found["truths"]["cifar10_test_50"]["mean"] > 91 and found["evaluations"]["mean"] == 60
    assert found["most_frequent"].startswith("nasbench_macro(block=[")
    with pytest.raises(UserError, match="does not know how long an evaluation takes: give the budget in evaluations"):
        blackbox.run(replace(config, budget="12000s"))
    with pytest.raises(UserError, match="after 50 epochs, not after 12"):
        blackbox.run(replace(config, evaluator="table:table=nasbench_macro,epochs=12"))


@needs(random_darts)
def test_no_search_on_a_table_that_lists_some():
    with pytest.raises(UserError, match="'random_darts' knows 214 architectures .* and a search needs all"):
        find.resolve("evaluator", "table:table=random_darts")


def test_tables_that_are_not_here_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DNAS_SHARED", str(tmp_path))
    assert [table.name for table in here()] == ["nasbench201"]
    assert of_space(find.resolve("space", "darts"), "cifar10") == {}
    assert "cifar10_test_200" in of_space(find.resolve("space", "nasbench201"), "cifar10")["truths"]
    (tmp_path / nasbench_macro.FILE).write_bytes(b"damaged")
    with pytest.raises(UserError, match="truncated or corrupt"):
        list(here())
