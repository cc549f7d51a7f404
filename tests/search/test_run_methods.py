"""Whole runs of methods whose pieces meet in run.py: paths, selection at the end, a single level, inner steps."""

import dataclasses

import numpy as np
import pytest

import dnas.search
from dnas.architectures.genotype import check
from dnas.cli.sources import genotype_of
from dnas.config import AugmentConfig, Config, SearchConfig
from dnas.errors import UserError
from dnas.runs import records
from dnas.spaces.nasbench201 import space

CONFIG = Config(
    space="nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1",
    data="digits:limit=200",
    search=SearchConfig(epochs=1, cells=1, channels=2, batch_size=32, augment=AugmentConfig(pad=1, flip=False)),
)
SPACE = space(nodes=3, operations="none+skip_connect+nor_conv_1x1")


def searched(folder, method, seeds=1, **search):
    config = dataclasses.replace(CONFIG, method=method, seeds=seeds)
    return dnas.search.run(
        dataclasses.replace(config, search=dataclasses.replace(config.search, **search)), folder, quiet=True
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "method, evaluated",
    [
        # 8 on the first batch; 2, and then the found one, on all of them, which is one too
        ("random_nas:rounds=1,samples=8,finalists=2", 11),
        ("spos:population=6,generations=2", 13),
    ],
)
def test_selection_ends_the_run_and_resuming_repeats_it(tmp_path, method, evaluated):
    found = searched(tmp_path / "run", method, seeds=2)
    assert len(found.genotypes) == 2
    for genotype in found.genotypes:
        check(genotype, SPACE)
    config = dataclasses.replace(CONFIG, method=method, seeds=2)
    again = dnas.search.run(config, tmp_path / "run", resume=True, quiet=True)
    assert again.genotypes == found.genotypes and again.scores == found.scores
    last = records.read_metrics(found.folder)[-2:]  # of the genotypes that were selected, not of the paths before
    assert [row["selected_accuracy"] for row in last] == [pytest.approx(a) for a in found.scores]
    assert [row["evaluated"] for row in last] == [evaluated] * 2
    assert genotype_of(str(found.folder)) == found.genotype
    assert len(records.read_genotypes(tmp_path / "run", 1)) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "method,search",
    [
        ("enas", {}),
        ("gdas", {}),
        ("snas", {"levels": "single"}),
        ("idarts", {"order": "weights_first", "inner_steps": 2}),
    ],
)
def test_runs_with_the_settings_of_its_paper(tmp_path, method, search):
    found = searched(tmp_path / "run", method, **search)
    check(found.genotype, SPACE)
    (row,) = records.read_metrics(found.folder)
    assert all(np.isfinite(row[name]) for name in ("train_loss", "search_loss", "valid_loss", "entropy_cell"))


def test_methods_of_two_levels_refuse_a_single_one(tmp_path):
    for method in ("proxyless_nas", "enas", "oles", "random_nas"):
        with pytest.raises(UserError, match="search.levels"):
            searched(tmp_path / method, method, levels="single")
        assert not (tmp_path / method).exists()


@pytest.mark.slow
def test_paths_of_cells_that_keep_two_edges_per_node(tmp_path):
    """The controller chooses sources; edges that it leaves out are computed neither in training nor in evaluation."""
    choice = "darts:nodes=2,operations=skip_connect+dil_conv_3x3"
    config = dataclasses.replace(CONFIG, method="enas:hidden=4", space=choice)
    found = dnas.search.run(config, tmp_path / "run", quiet=True)
    assert all(len(cell.edges) == 4 for _, cell in found.genotype.cells)
    (row,) = records.read_metrics(found.folder)
    assert np.isfinite(row["valid_loss"])
