"""Tables: what is read of files, which part features are fitted on, what is refused."""

import csv
import os
import sys
import types

import numpy as np
import pytest

from dnas.data import load
from dnas.data._features import MOST_CATEGORIES, fit
from dnas.data._tables import Column, Table
from dnas.errors import UserError
from dnas.find import available

EMBEDDED = {"wine": (178, 13, 3), "breast_cancer": (569, 30, 2), "diabetes": (442, 10, 0)}
TABLES = {name for name in available("data set") if name in EMBEDDED}


@pytest.fixture
def write(tmp_path):
    def make(text, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return make


def rows(count=20, y="{c}", head="age,city,y"):
    """`count` rows of a number, a category and a target of two classes."""
    lines = [f"{i},{'AB'[i % 2]},{y.format(i=i, c=['no', 'yes'][i % 2])}" for i in range(count)]
    return "\n".join([head, *lines]) + "\n"


@pytest.mark.parametrize("name", EMBEDDED)
def test_tables_that_come_with_scikit_learn(name):
    assert name in TABLES
    table, (count, columns, classes) = load(name), EMBEDDED[name]
    assert (len(table.train_y) + len(table.test_y), len(table.columns), len(table.classes)) == (count, columns, classes)
    assert len(table.test_y) == round(0.2 * count)
    if classes:
        shares = [np.bincount(y.astype(int)) / len(y) for y in (table.train_y, table.test_y)]
        np.testing.assert_allclose(*shares, atol=0.02)
    assert "20% held out with seed 0" in table.note
    assert load(table) is table
    few = load(f"{name}:limit=50")
    assert (len(few.train_y), len(few.test_y)) == (50, 10)
    assert "only 50 of" in few.note and "test rows" in few.note
    other = load(f"{name}:seed=1")
    assert not np.array_equal(other.test[0], table.test[0])


def test_numbers_categories_and_missing_values_are_told_apart(write):
    lines = "1,Rome,1,,a\n NA ,?,2,null,b\n3.5,null,1,,a\n-1e3,,2,NaN,b\nnan,Bonn,1,?,\n"
    text = "age,city,code,empty,y\n" + 2 * lines
    table = load(f"table:path={write(text)},target=y,categories=code")
    assert table.columns == (Column("age", "number"), Column("city", "category"), Column("code", "category"))
    found = np.concatenate([table.train[0], table.test[0]])
    assert np.isnan(found).sum() == 4 and set(found[~np.isnan(found)]) == {1, 3.5, -1000}
    assert set(np.concatenate([table.train[1], table.test[1]])) == {"Rome", "Bonn", ""}
    assert np.isnan(np.concatenate([table.train_y, table.test_y])).sum() == 2
    assert table.classes == ("a", "b") and "left out: empty" in table.note and "'y' is read as a class" in table.note


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_quotes_and_byte_order_marks(delimiter, write, tmp_path):
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        cells = [["x,;", "na me", "y"], *[[str(i), "two\nlines", str(i % 2)] for i in range(10)], []]
        csv.writer(file, delimiter=delimiter).writerows(cells)
    table = load(f"table:path={path},target=y")
    assert [(c.name, c.kind) for c in table.columns] == [("x,;", "number"), ("na me", "category")]
    assert table.classes == ("0", "1") and set(table.train[1]) == {"two\nlines"}


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["1", "2", "10"] * 4, ("1", "2", "10")),
        (["1.0", "1", "2"] * 4, ("1", "2")),
        (["b", "a", "10"] * 4, ("10", "a", "b")),
        (["1.5", "2"] * 5, ()),
        ([str(i) for i in range(21)] * 2, ()),
        ([str(i) for i in range(20)] * 2, tuple(map(str, range(20)))),
    ],
)
def test_auto_tells_classes_from_numbers(values, classes, write):
    path = write("x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values)))
    assert load(f"table:path={path},target=y").classes == classes
    if all(value.replace(".", "").isdigit() for value in values):
        assert load(f"table:path={path},target=y,task=regression").classes == ()
    assert load(f"table:path={path},target=y,task=classification").classes


def test_a_file_for_the_test_part(write):
    path, test = write(rows()), write("y,extra,age,city\nyes,1,5,C\nno,1,,\n", "test.csv")
    table = load(f"table:path={path},target=y,test={test}")
    assert len(table.train_y) == 20 and table.test_y.tolist() == [1, 0]
    assert table.test[1].tolist() == ["C", ""] and "held out" not in table.note


def test_a_column_without_a_name_is_left_out(write):
    table = load(f"table:path={write(rows(head=',city,y'))},target=y")
    assert [column.name for column in table.columns] == ["city"]
    assert "columns without a name" in table.note


def test_columns_are_left_out_by_name_and_texts_among_numbers_are_missing(write):
    lines = [f"{i},{'?' if i % 4 else 'none'},{i / 3 if i else 'unknown'},{'ab'[i % 2]},{i % 2}" for i in range(20)]
    file = write("\n".join(["id,a+b,size,c,y", *lines]))
    table = load(f"table:path={file},target=y,without=id+a+b,numbers=size")
    assert [(column.name, column.kind) for column in table.columns] == [("size", "number"), ("c", "category")]
    assert np.isnan([*table.train[0], *table.test[0]]).sum() == 1 and "left out: id, a+b" in table.note
    for settings, words in {
        "without=y": "the target, so it cannot be left out",
        "without=idd": "Did you mean id?",
        "numbers=size,categories=size": "cannot be one of numbers and one of categories",
    }.items():
        with pytest.raises(UserError, match=words):
            load(f"table:path={file},target=y,{settings}")


# --- features


def test_features_are_fitted_on_the_train_part_alone(write):
    """Whatever the test part holds, the features of the train part are the same."""
    table = load(f"table:path={write(rows())},target=y")
    features = fit(table.columns, table.train, table.name)
    poisoned = (np.full(4, 1e9), np.array(["never seen"] * 4, object))
    assert features.count == 3
    x = features(table.train)
    np.testing.assert_allclose(x[:, 0].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(x[:, 0].std(), 1, atol=1e-6)
    assert features(poisoned)[:, 0].min() > 1e6 and not features(poisoned)[:, 1:].any()
    assert features.described()["categories"] == [["A", "B"]]


def test_features_of_known_rows():
    columns = (Column("n", "number"), Column("full", "number"), Column("c", "category"))
    values = (np.array([1, np.nan, 3, 8.0]), np.array([1.0, 3, 1, 3]), np.array(["a", "", "b", "a"], object))
    features = fit(columns, values, "t")
    x = features(values)
    n = np.array([1, 3, 3, 8.0])  # the median of 1, 3, 8
    np.testing.assert_allclose(x[:, 0], (n - n.mean()) / n.std(), rtol=1e-6)
    np.testing.assert_allclose(x[:, 1], [-1, 1, -1, 1], rtol=1e-6)
    assert len(set(x[[0, 2, 3], 2])) == 1 and x[1, 2] > x[0, 2]  # where n is missing
    np.testing.assert_array_equal(x[:, 3:], [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert x.dtype == np.float32
    about = features.described()
    assert (about["medians"], about["categories"]) == ([3, 2], [["", "a", "b"]])
    assert about["columns"] == [["n", "number"], ["full", "number"], ["c", "category"]]


def test_rare_categories_share_a_column_and_empty_columns_are_zero():
    columns = (Column("c", "category"), Column("n", "number"))
    texts = np.array([f"{i // 2}" for i in range(300)], object)
    features = fit(columns, (texts, np.full(300, np.nan)), "t")
    x = features((texts, np.full(300, np.nan)))
    assert features.count == x.shape[1] <= MOST_CATEGORIES + 2
    assert np.isfinite(x).all()
    assert features((texts[:0], np.zeros(0))).shape == (0, features.count)


# --- refusals


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        (rows(), "target=Y", ["column", "'Y'", "Did you mean y?"]),
        (rows(), "target=y,categories=town", ["'town'", "Known: age, city, y"]),
        (rows(y="1"), "target=y", ["only '1'", "nothing to learn"]),
        (rows(y="1.5"), "target=y,task=regression", ["only '1.5'", "nothing to learn"]),
        (rows(y="NA"), "target=y", ["no value"]),
        (rows() + "20,A,perhaps\n", "target=y", ["1 class(es) with one row, as 'perhaps'", "task=regression"]),
        (rows(), "target=y,task=regression", ["column 'y'", "'no'", "expected a number"]),
        (rows(), "target=y,task=classify", ["'classify'", "Did you mean classification"]),
        ("a,b,y\n", "target=y", ["no rows below"]),
        ("", "target=y", ["is empty"]),
        ("\n\n", "target=y", ["is empty"]),
        (rows() + "1,2\n", "target=y", ["Line 22", "2 cells", "names 3 columns"]),
        (rows(head="age,age,y"), "target=y", ["2 columns named 'age'"]),
        (rows().encode() + b"1,\xe9,no\n", "target=y", ["no text in UTF-8", "line 22"]),
        (rows() + "inf,A,no\n", "target=y", ["'age'", "inf", "1e+30"]),
        (rows() + "1e300,A,no\n", "target=y", ["'age'", "1e+300"]),
        ("y\n" + "1\n2\n" * 5, "target=y", ["no column beside its target"]),
        (rows(), "target=y,limit=-1", ["limit", "-1"]),
        (rows(), "", ["name of the column to predict"]),
    ],
)
def test_what_no_task_can_be_made_of(text, settings, words, write):
    with pytest.raises(UserError) as refusal:
        load(f"table:path={write(text)},{settings}".rstrip(","))
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("age,y\n1,no\n", ["test.csv", "no column 'city'"]),
        ("age,city,y\n1,A,perhaps\n", ["class 'perhaps'", "no train row"]),
        ("age,city,y\nold,A,no\n", ["column 'age'", "'old'", "expected a number"]),
        ("age,city,y\n1,A,\n", ["no value", "test part"]),
    ],
)
def test_a_test_file_that_does_not_fit(test, words, write):
    with pytest.raises(UserError) as refusal:
        load(f"table:path={write(rows())},target=y,test={write(test, 'test.csv')}")
    for word in words:
        assert word in str(refusal.value)


def test_files_that_cannot_be_read(tmp_path, refused, write, monkeypatch):
    with refused("path of a file"):
        load("table")
    for make, word in ((lambda p: None, "No such file"), (os.mkdir, "directory"), (os.mkfifo, "named pipe")):
        path = tmp_path / word.replace(" ", "_")
        make(path)
        with refused(path, word, "CSV, TSV or parquet"):
            load(f"table:path={path},target=y")
    path = write(rows())
    monkeypatch.setattr("dnas.data._files.free_memory", lambda: 1000)
    with refused(path, "free memory", "fewer rows"):
        load(f"table:path={path},target=y")


def test_features_beyond_the_memory_are_refused(refused, monkeypatch):
    monkeypatch.setattr("dnas.data._files.free_memory", lambda: 1000)
    with refused("features", "memory", "limit"):
        fit((Column("n", "number"),), (np.arange(100.0),), "t")


def test_parquet_needs_pyarrow(tmp_path, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1")
    with refused(path, "pip install 'dnas[tables]'"):
        load(f"table:path={path},target=y")


def test_parquet_is_read_by_pyarrow(tmp_path, monkeypatch):
    """A stand-in for pyarrow, which is optional, with what we use of it."""
    columns = {"age": [1, None, 2.5, 4] * 3, "city": ["A", "B", None, "A"] * 3, "y": [True, False] * 6}

    class Chunked(list):
        def to_pylist(self):
            return list(self)

    table = types.SimpleNamespace(column_names=list(columns), columns=list(map(Chunked, columns.values())))
    about = types.SimpleNamespace(num_rows=12, num_columns=3)
    parquet = types.SimpleNamespace(read_metadata=lambda file: about, read_table=lambda file: table)
    monkeypatch.setitem(sys.modules, "pyarrow", types.SimpleNamespace(parquet=parquet))
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    found = load(f"table:path={tmp_path / 't.parquet'},target=y")
    assert found.classes == ("False", "True")
    assert [column.kind for column in found.columns] == ["number", "category"]
    assert np.isnan(np.concatenate([found.train[0], found.test[0]])).sum() == 3


def table_of(**changes):
    y = np.array([0.0, 1, 0, 1])
    usual = {"columns": (Column("n", "number"),), "train": (np.arange(4.0),), "train_y": y}
    usual |= {"test": (np.arange(4.0),), "test_y": y, "target": "y", "classes": ("a", "b")}
    return Table(name="t", **(usual | changes))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"columns": (), "train": (), "test": ()}, "no column beside"),
        ({"train": (np.arange(3.0),)}, r"float64 \[3\], expected float64 \[4\]"),
        ({"train": (np.array(["a"] * 4, object),)}, "object"),
        ({"test": ()}, "1 columns, but 0"),
        ({"train_y": np.array([0.0, 1, 2, 1])}, "from 0 to 1"),
        ({"train_y": np.array([0.0, np.nan, 0, 0])}, "the same in all train rows"),
        ({"test_y": np.full(4, np.nan)}, "no value in the test part"),
        ({"classes": (), "test_y": np.array([0, 1, np.inf, 2])}, "inf"),
    ],
)
def test_tables_that_are_not_sound(changes, word):
    assert table_of().task == "tabular"
    with pytest.raises(UserError, match=word):
        table_of(**changes)
