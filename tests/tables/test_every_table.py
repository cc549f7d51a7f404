"""What holds for every table: a new file is tested without an edit here. And what NAS-Bench-201 says."""

from dataclasses import replace

import numpy as np
import pytest

from dnas import find
from dnas.architectures import encoding, zoo
from dnas.architectures.genotype import parse
from dnas.architectures.isomorphism import canonical
from dnas.errors import UserError
from dnas.tables import nasbench201
from dnas.tables.lookup import looked_up, place_of
from dnas.tables.protocol import at, place

KINDS = {"test", "valid", "single", "deviation", "seconds", "parameters", "mflops"}
TABLES = {}
for known, make in find.available("table").items():
    try:
        TABLES[known] = make()
    except UserError as missing:  # of a table that does not come with the package
        assert "not found at" in str(missing)


@pytest.mark.parametrize("name", TABLES)
def test_its_columns_are_complete_and_plausible(name):
    table = TABLES[name]
    assert table.name == name and bool(table.options) != bool(table.listed)
    assert list(table.epochs) == sorted(table.epochs)
    for column, values in table.columns.items():
        (data,) = (data for data in table.datasets if column.startswith(f"{data}_"))
        kind, _, epochs = column.removeprefix(f"{data}_").partition("_")
        assert kind in KINDS and (kind in ("parameters", "mflops") or int(epochs) in table.epochs)
        assert values.shape == (table.size,)
        if kind in ("test", "valid", "single"):
            assert 0 <= values.min() < values.max() <= 100
        else:
            assert (values >= 0).all() if kind == "deviation" else (values > 0).all()
    for data in table.datasets:
        assert all(table.has(data, f"test_{epochs}") for epochs in table.epochs)
    assert table.classes is None or table.classes.shape == (table.size,)


def complete():
    return [name for name, table in TABLES.items() if table.options]


@pytest.mark.parametrize("name", complete())
def test_a_complete_table_has_all_that_a_search_asks_for(name):
    table = TABLES[name]
    table.check_complete()
    assert table.size == encoding.count(table.space)
    for data in table.datasets:
        assert {"parameters", "mflops"} <= {what for what in KINDS if table.has(data, what)}
        assert all(table.visible(data, epochs).shape == (table.size,) for epochs in table.epochs)


def test_nasbench201_has_all_columns():
    table = TABLES["nasbench201"]
    by_length = ["test_12", "test_200", "valid_12", "single_200", "seconds_12", "seconds_200"]
    wanted = {f"{data}_{what}" for data in table.datasets for what in (*by_length, "parameters", "mflops")}
    assert table.columns.keys() == wanted and table.classes is not None
    assert table.visible("cifar100", 12) is table.column("cifar100", "valid_12")
    assert table.visible("cifar100", 200) is table.column("cifar100", "single_200")


@pytest.mark.parametrize("name", complete())
def test_places_are_those_of_the_encoding(name):
    table = TABLES[name]
    some = np.random.default_rng(0).integers(table.size, size=50)
    architectures = at(some, table.options)
    np.testing.assert_array_equal(place(architectures, table.options), some)
    assert [place_of(table, encoding.decode(row, table.space)) for row in architectures] == some.tolist()
    digits = len(table.options)
    assert at(np.arange(3), table.options).tolist() == [[0] * (digits - 1) + [i] for i in range(3)]


@pytest.mark.parametrize("name", set(TABLES) - {*complete()})
def test_listed_architectures_are_found_in_whichever_order_they_are_written(name):
    table = TABLES[name]
    assert [place_of(table, genotype) for genotype in table.listed] == list(range(table.size))
    kind, cell = table.listed[7].cells[0]
    turned = replace(table.listed[7], cells=((kind, replace(cell, edges=cell.edges[::-1])), *table.listed[7].cells[1:]))
    assert turned != table.listed[7] and place_of(table, turned) == 7
    with pytest.raises(UserError, match=f"'{name}' knows .* a search needs all: choose a complete table"):
        table.check_complete()


@pytest.mark.parametrize("name", find.available("table"))
def test_a_table_that_is_not_there_is_said_in_a_sentence(name, nothing_there):
    if name == "nasbench201":
        assert find.resolve("table", name).size == 15625  # it comes with the package
        return
    with pytest.raises(UserError, match=f"The table '{name}' needs .*, not found at .*: put the project's .* into"):
        find.resolve("table", name)


@pytest.fixture
def nothing_there(tmp_path, monkeypatch):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DNAS_SHARED", str(tmp_path / "nothing"))
    return tmp_path


def test_a_data_set_a_length_or_a_column_that_is_not_there():
    table = TABLES["nasbench201"]
    with pytest.raises(UserError, match="Unknown column of the table 'nasbench201' for cifar10: 'test_90'"):
        table.column("cifar10", "test_90")
    with pytest.raises(UserError, match="Unknown data set of the table 'nasbench201': 'cifar'. Did you mean cifar10"):
        table.column("cifar", "test_200")
    with pytest.raises(UserError, match="after 12 and 200 epochs, not after 90"):
        table.check_epochs(90)


def test_what_nasbench201_is_known_for():
    columns = TABLES["nasbench201"].columns
    best = {name: columns[f"{name}_test_200"] for name in nasbench201.DATASETS}
    assert [round(column.max(), 3) for column in best.values()] == [94.373, 73.513, 47.311]
    index = {name: zoo.nasbench201_index(cell(int(column.argmax()))) for name, column in best.items()}
    assert index.pop("cifar10") in (6111, 13714)  # equally good
    assert index == {"cifar100": 9930, "imagenet16": 857}
    chosen = [column[columns[f"{name}_single_200"].argmax()] for name, column in best.items()]
    np.testing.assert_allclose(chosen, (94.30, 73.48, 46.44), atol=0.01)  # as published of the best by "validation"
    means = [column.mean() for column in best.values()]
    np.testing.assert_allclose(means, (86.61, 60.83, 33.13), atol=0.7)  # as published of 500 random cells


def test_what_a_query_costs():
    columns = TABLES["nasbench201"].columns
    np.testing.assert_allclose(
        [columns[f"{name}_seconds_12"].mean() for name in nasbench201.DATASETS], (112, 219, 662), rtol=0.01
    )
    skips = place_of(TABLES["nasbench201"], zoo.nasbench201(1835))
    assert columns["cifar100_seconds_12"][skips] == pytest.approx(6 * 9.74 + 6 * 1.39 / 12 / 2)
    assert columns["cifar10_seconds_200"][skips] == pytest.approx(6 * 9.74 / 2 * 200 / 12 + 6 * 1.39 / 12 * 2.5)


def test_looking_up_a_cell():
    found = looked_up(TABLES["nasbench201"], zoo.nasbench201(9930))
    assert found["cells"] == 15625 and found["isomorphic"] == 1
    assert [facts["rank"] for facts in found["data"].values()] == [3, 1, 26]
    ten = found["data"]["cifar10"]
    assert (ten["test_200"], ten["valid_12"], ten["parameters"]) == (94.3633, 84.746, 1288506)
    assert ten["regret"] == pytest.approx(94.2933 - 94.3633, abs=0.01)
    assert looked_up(TABLES["nasbench201"], nothing())["isomorphic"] == 341


@pytest.mark.parametrize(
    "text, says",
    [
        ("DARTS_V2", "has cells of the space 'nasbench201', and this one is of 'darts'"),
        ("|none~0|+|none~0|none~1|", "outside the table"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|none~1|none~2|none~3|", "outside the table"),
        ("|sep_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|", "outside the table"),
    ],
)
def test_cells_that_are_not_in_the_table(text, says):
    with pytest.raises(UserError, match=says):
        looked_up(TABLES["nasbench201"], parse(text))


def test_equal_values_share_the_better_rank():
    assert TABLES["nasbench201"].ranks(np.array([1.0, 3.0, 3.0, 2.0])).tolist() == [4, 1, 1, 3]


@pytest.mark.slow
def test_isomorphic_cells_of_the_whole_table():
    table = TABLES["nasbench201"]
    forms = {}
    classes = [forms.setdefault(canonical(cell(number)), len(forms)) for number in range(table.size)]
    assert len(forms) == len({*table.classes.tolist()}) == 5425
    assert len({*zip(classes, table.classes.tolist(), strict=True)}) == 5425


def cell(number):
    operations = at(np.array(number), nasbench201.OPTIONS)
    return encoding.decode(operations, SPACE)


def nothing():
    return cell(0)


SPACE = find.resolve("space", "nasbench201")
