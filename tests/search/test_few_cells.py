"""A supernet of one or two DARTS cells has reduction cells only: no normal cell is searched, and the user is told."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

import dnas.search
from dnas import retrain
from dnas.architectures.genotype import check, parse, random
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig
from dnas.errors import UserError
from dnas.runs import records
from dnas.spaces import darts

PLAIN = AugmentConfig(pad=0, flip=False)
CONFIG = Config(
    space="darts:nodes=1,operations=skip_connect+max_pool_3x3",
    data="digits:limit=100",
    search=SearchConfig(epochs=1, cells=2, channels=2, batch_size=25, augment=PLAIN),
    retrain=RetrainConfig(epochs=1, cells=1, channels=2, batch_size=50, auxiliary=0, augment=PLAIN),
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    said = []
    loop = import_module("dnas.runs.loop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "say", lambda text, quiet=False: said.append(text))
        result = dnas.search.run(CONFIG, tmp_path_factory.mktemp("few") / "run", quiet=True)
    return result, said


@pytest.mark.slow
def test_it_is_neither_searched_nor_reported_and_the_user_is_told(found):
    result, said = found
    assert [kind for kind, _ in result.genotype.cells] == ["reduce"]
    assert all(list(row["mix"]) == ["reduce"] for row in records.read_mix(result.folder))
    assert not any("normal" in name for row in records.read_metrics(result.folder) for name in row)
    assert any("2 cells contains no normal cell" in text for text in said)


@pytest.mark.slow
def test_its_network_is_trained_where_it_needs_no_more(found, tmp_path):
    genotype = found[0].genotype
    trained = retrain.run(CONFIG, genotype, tmp_path / "trained", quiet=True)
    assert np.isfinite(trained.score)
    large = replace(CONFIG, retrain=replace(CONFIG.retrain, cells=3))
    with pytest.raises(
        UserError, match="has the cells reduce, expected those of a network of 'darts' with 3 cells: norm"
    ):
        retrain.run(large, genotype, tmp_path / "large", quiet=True)
    assert not (tmp_path / "large").exists()


def test_a_genotype_is_checked_for_the_network_that_is_built():
    space, both = darts.space(), random(darts.space(), 0)
    for cells in (None, 1, 3):
        check(both, space, cells)
    assert [kind for kind, _ in parse("DARTS_V2").cells] == ["normal", "reduce"]
    reduce = replace(both, cells=both.cells[1:])
    check(reduce, space, 2)
    for cells in (None, 3):
        with pytest.raises(UserError, match="expected those of .*: normal, reduce"):
            check(reduce, space, cells)
