"""What holds for every table: a new file is tested without an edit here. And what NAS-Bench-201 says."""

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

TABLES = {name: make() for name, make in find.available("table").items()}


@pytest.mark.parametrize("name", TABLES)
def test_its_columns_are_complete_and_plausible(name):
    table = TABLES[name]
    assert table.name == name and table.size == encoding.count(find.resolve("space", table.space))
    assert list(table.epochs) == sorted(table.epochs)
    for data in table.datasets:
        for epochs in table.epochs:
            for part in ("test", "valid"):
                column = table.column(data, f"{part}_{epochs}")
                assert column.shape == (table.size,) and 0 <= column.min() < column.max() <= 100
            assert (table.column(data, f"seconds_{epochs}") > 0).all()
        assert (table.column(data, "parameters") > 0).all() and (table.column(data, "mflops") > 0).all()
    assert table.classes.shape == (table.size,)


@pytest.mark.parametrize("name", TABLES)
def test_places_are_those_of_the_encoding(name):
    table = TABLES[name]
    space = find.resolve("space", table.space)
    some = np.random.default_rng(0).integers(table.size, size=50)
    architectures = at(some, table.options)
    np.testing.assert_array_equal(place(architectures, table.options), some)
    assert [place_of(table, encoding.decode(row, space)) for row in architectures] == some.tolist()
    assert at(np.arange(3), table.options).tolist() == [[0] * 5 + [i] for i in range(3)]


def test_a_data_set_or_a_length_that_is_not_there():
    table = TABLES["nasbench201"]
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
    honest = [column[columns[f"{name}_valid_200"].argmax()] for name, column in best.items()]
    np.testing.assert_allclose(honest, (94.30, 73.48, 46.44), atol=0.01)
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
