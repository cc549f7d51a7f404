"""What the table knows of the cells that a search passes through: in its rows, right, and used for nothing."""

import dataclasses

import pytest

import dnas.search
from dnas import find
from dnas.architectures.genotype import from_json, parse
from dnas.config import AugmentConfig, Config, SearchConfig
from dnas.errors import UserError
from dnas.runs import records
from dnas.search import ground_truth
from dnas.tables import nasbench201

CONFIG = Config(
    space="nasbench201:operations=skip_connect+nor_conv_1x1",
    data="digits:limit=100",
    seeds=2,
    search=SearchConfig(epochs=2, cells=1, channels=2, batch_size=32, augment=AugmentConfig(pad=1, flip=False)),
)


@pytest.mark.slow
def test_the_rows_of_a_search_say_what_its_cells_are_worth(tmp_path):
    result = dnas.search.run(CONFIG, tmp_path / "run", quiet=True)
    rows = records.read_metrics(result.folder)
    assert len(rows) == 4
    for row in rows:
        cell = from_json(records.read_genotypes(result.folder, row["epoch"])[row["seed"]])
        known = nasbench201.nasbench201(cell)
        found = tuple(row[f"truth_{name}"] for name in ("cifar10", "cifar100", "imagenet16"))
        assert found == known[:3]
        column = nasbench201.table().column("cifar10", "test_200")
        assert row["truth_rank"] == 1 + (column > known.cifar10).sum()


def test_cells_of_other_spaces_have_none():
    truth = ground_truth.of_space(find.resolve("space", "nasbench201"))
    assert truth(parse("1835"))["truth_rank"] == 15231
    assert truth(parse("|none~0|+|none~0|none~1|")) == {} == truth(parse("DARTS_V2"))
    assert ground_truth.of_space(find.resolve("space", "darts"))(parse("DARTS_V2")) == {}


def test_a_damaged_table_is_refused_before_a_search_leaves_a_folder(tmp_path, monkeypatch):
    (tmp_path / "table.npz").write_bytes(b"PK")
    monkeypatch.setattr(nasbench201, "FILE", tmp_path / "table.npz")
    with pytest.raises(UserError, match="table.npz is truncated or corrupt .*: install dnas again"):
        dnas.search.run(dataclasses.replace(CONFIG, seeds=1), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
