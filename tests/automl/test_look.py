"""A look at data: what they are is guessed and said, what is found, and what is refused in one sentence."""

import numpy as np
import pytest

from dnas import find
from dnas.automl.look import examine, look
from dnas.data import load
from dnas.errors import UserError

RANDOM = np.random.default_rng(0)
N = 60


def numbers() -> list[float]:
    return np.random.default_rng(1).normal(size=N).round(6).tolist()


def kinds(found) -> dict[str, list[str]]:
    return {
        severity: [one.kind for one in found.findings if one.severity == severity] for severity in ("fatal", "warning")
    }


# --- what the data are


def test_a_folder_of_images(write_images):
    folder = write_images("flowers", {"rose": 20, "lily": 12})
    (folder / "readme.md").write_text("of last summer")
    found = look(folder)
    assert found.data == f"image_folder:path={folder},size=9" and found.task == "images"
    assert found.sizes == {"train": 26, "test": 6, "height": 9, "width": 9, "channels": 3}
    assert found.classes == ("lily", "rose") and found.counts == (12, 20)
    assert found.how == (f"{folder} is a folder with 32 images (and 1 other files).",)
    assert load(found.data).train_x.shape == (26, 9, 9, 3)


def test_a_choice_keeps_its_settings(write_images):
    folder = write_images("flowers", {"rose": 20, "lily": 20})
    found = look(f"image_folder:path={folder},size=5,limit=20,seed=3")
    assert find.parse_choice(found.data)[1] == {"path": str(folder), "size": "5", "limit": "20", "seed": "3"}
    assert found.sizes["train"] == len(load(found.data).train_y) == 20


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_table_and_its_split(name, write_table):
    file = write_table(name, x=numbers(), kind=["a", "b", "c"] * 20, label=["yes", "no"] * 30)
    examined = examine(file)
    found, table = examined.look, load(examined.look.data)
    assert found.data == f"table:path={file},target=label" and found.task == "tabular"
    assert found.sizes == {"train": 48, "test": 12, "columns": 2} and found.classes == ("no", "yes")
    assert "by its name" in found.how[-1]
    values = dict(examined.evidence.content.items())
    assert set(values["x"][examined.evidence.parts == 2]) == set(table.test[0])  # the split that will be made


@pytest.mark.parametrize("name", ["mails.csv", "mails.tsv", "mails.jsonl"])
def test_a_table_of_texts(name, write_table, sentences):
    file = write_table(name, number=range(N), body=sentences, kind=["ham", "spam"] * 30)
    found = look(file)
    assert found.data == f"text_table:path={file},text=body,label=kind" and found.task == "text_classification"
    assert "Not read: 'number'." in found.how[0] and found.sizes["words"] == 9
    assert len(load(found.data).train_y) == found.sizes["train"] == 48


def test_a_folder_of_texts(tmp_path, sentences):
    for i, text in enumerate(sentences):
        place = tmp_path / "mails" / ("ham", "spam")[i % 2] / f"{i}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(sentences[0] if i in (1, 2) else text)
    found = look(tmp_path / "mails")
    assert found.data == f"text_table:path={tmp_path / 'mails'}" and found.classes == ("ham", "spam")
    assert "conflicting_labels" in kinds(found)["warning"] and "ham/0.txt" in found.findings[0].sentence


def test_a_folder_of_recordings(write_sounds):
    pytest.importorskip("soundfile")
    folder = write_sounds("words", {"yes": 44100, "no": 44100})
    found = look(folder)
    assert found.data == f"audio_folder:path={folder},sample_rate=16000" and found.task == "audio_classification"
    assert found.sizes == {"train": 19, "test": 5, "sample_rate": 16000, "samples": 1600}
    assert [one.action for one in found.findings if one.kind == "sample_rates"] == ["resampled to 16,000 Hz"]
    assert load(found.data).sample_rate == 16000


def test_classes_of_different_sample_rates(write_sounds):
    pytest.importorskip("soundfile")
    found = look(write_sounds("words", {"yes": 8000, "no": 16000}))
    assert "sample_rates" in kinds(found)["warning"]
    assert "16,000 Hz (12), 8,000 Hz (12)" in " ".join(one.sentence for one in found.findings)


def test_unequal_and_damaged_images(write_images, tmp_path):
    folder = write_images("pets", {"cat": 16, "dog": 15})
    write_images("more", {"x": 1}, (40, 30))
    (tmp_path / "more/x/0.png").replace(folder / "dog/3.png")
    (folder / "cat/7.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    found = look(folder)
    said = {one.kind: one.sentence for one in found.findings if one.kind in ("damaged_files", "image_sizes")}
    assert "from 12x9 (cat/" in said["image_sizes"] and "to 40x30 pixels (dog/3.png)" in said["image_sizes"]
    assert said["damaged_files"].startswith("1 of 31 files cannot be read, as cat/7.png")
    assert found.data == f"image_folder:path={folder},size=9,without_damaged=true" and not found.fatal
    data = load(found.data)
    assert len(data.train_y) + len(data.test_y) == sum(found.counts) == 30
    assert "left out, damaged" in data.note and len(data.train_x) == len(data.train_y) == found.sizes["train"]
    kept = look(f"image_folder:path={folder},without_damaged=false")
    assert "without_damaged=true" not in kept.data
    assert kept.fatal[0].sentence.endswith(
        "and without_damaged=false keeps them: remove them, or say without_damaged=true."
    )
    for i in range(16):
        (folder / f"cat/{i}.png").write_bytes(b"GIF89a")
    assert look(folder).fatal[0].kind == "damaged_files"
    with pytest.raises(UserError, match="16 of 31 files cannot be read, as cat/0.png"):
        look(folder).require()


def test_damaged_recordings(write_sounds):
    pytest.importorskip("soundfile")
    folder = write_sounds("words", {"yes": 8000, "no": 8000})
    (folder / "no/3.wav").write_bytes(b"RIFF")
    found = look(folder)
    assert [one.where for one in found.findings if one.kind == "damaged_files"] == ["no/3.wav"]
    data = load(found.data)
    assert len(data.train_y) + len(data.test_y) == 23 == sum(found.counts) and "left out, damaged" in data.note


def test_texts_that_are_empty(write_table, sentences):
    file = write_table("a.csv", text=["", *sentences[1:]], label=["a", "b"] * 30)
    found = look(file)
    said = [one.sentence for one in found.findings if one.kind == "damaged_files"]
    assert said == [f"1 of 60 rows has no text or no class, as line 2 of {file} (no text)."]
    assert len(load(found.data).train_y) == 47 and "left out, empty: line 2 of" in load(found.data).note
    kept = look(found.data.replace("without_empty=true", "without_empty=false"))
    assert "without_empty=true" not in kept.data and kept.fatal[0].kind == "damaged_files"


@pytest.mark.parametrize("name, task", [("digits", "images"), ("wine:seed=3", "tabular"), ("diabetes", "tabular")])
def test_a_data_set_by_name(name, task):
    found = look(name)
    assert found.data == name and found.task == task and not found.fatal
    assert sum(found.counts) == (0 if name == "diabetes" else found.sizes["train"] + found.sizes["test"])


# --- what is done about columns


def messy(write_table):
    y = np.array([0, 1] * 30)
    return write_table(
        "messy.csv",
        x=(numbers() + y).tolist(),
        income=[f"{i * 7.5}" if i % 20 else "unknown" for i in range(N)],
        day=[f"2024-01-{1 + i % 28}" for i in range(N)],
        answer=np.where(y, "yes", "no").tolist(),
        **{"a+b": range(N)},
        y=y.tolist(),
    )


def test_columns_are_left_out_and_that_is_said(write_table):
    file = messy(write_table)
    found = look(file)
    assert {one.without[0]: one.kind for one in found.findings if one.without} == {
        "answer": "leaks",
        "day": "dates",
        "a+b": "identifiers",
    }
    assert found.data == f"table:path={file},target=y,without=answer+day+a+b,numbers=income"
    table = load(found.data)
    assert [(column.name, column.kind) for column in table.columns] == [("x", "number"), ("income", "number")]
    assert found.sizes["columns"] == 2 and "left out: answer, day, a+b" in table.note
    assert np.isnan([*table.train[1], *table.test[1]]).sum() == 3


def test_a_column_is_kept_if_that_is_said(write_table):
    found = look(messy(write_table), keep=("answer", "a+b"))
    assert found.data.endswith("without=day,numbers=income") and found.sizes["columns"] == 4
    assert [one.action for one in found.findings if one.kind == "leaks"] == ["kept, as --keep says"]


def test_a_column_of_categories_stays_one_if_that_is_said(write_table):
    sizes = [f"{i}.5" for i in range(76)] + ["unknown"] * 4
    path = write_table("a.csv", size=sizes, x=range(80), y=["a", "b"] * 40)
    assert look(f"table:path={path},target=y").data.endswith("numbers=size")
    found = look(f"table:path={path},target=y,categories=size")
    assert "numbers" not in found.data
    assert [one.action for one in found.findings if one.kind == "mixed_types"] == ["read as categories, as was said"]


def test_nothing_is_left(write_table):
    found = look(write_table("a.csv", id=range(N), target=["a", "b"] * 30))
    assert found.fatal[0].sentence == "No column but the target 'target' is left to learn from: --keep keeps one."


def test_many_columns_of_which_the_same_is_to_be_said(write_table):
    fixed = {f"c{i}": ["a"] * N for i in range(40)}
    found = look(write_table("a.csv", x=numbers(), **fixed, y=["p", "q"] * 30))
    said = [one for one in found.findings if one.kind == "constant_columns"]
    assert len(said) == 6 and "35 more columns (constant_columns): 'c5', 'c6', 'c7' and 32 more." in said[-1].sentence
    assert len(load(found.data).columns) == found.sizes["columns"] == 1


# --- how the target is found


def test_the_target_is_the_last_column_or_what_was_said(write_table):
    file = write_table("a.csv", a=["u", "v"] * 30, x=numbers(), b=["p", "q", "r"] * 20)
    assert look(file).classes == ("p", "q", "r") and "the last column" in look(file).how[-1]
    assert look(file, target="a").classes == ("u", "v")
    assert look(f"table:path={file},target=a").classes == ("u", "v")
    assert look(file, target="x").classes == () == look(file, target="x").counts


@pytest.mark.parametrize(
    "columns, words",
    [
        ({"x": numbers(), "number": range(N)}, "as if it numbered them"),
        ({"x": numbers(), "day": ["2024-01-01", "2024-02-02"] * 30}, "'day', has dates"),
        ({"x": numbers(), "one": ["a"] * N}, "'one', is 'a' in all rows"),
        ({"x": numbers(), "none": [""] * N}, "'none', has no value"),
        ({"label": ["a", "b"] * 30, "Class": ["a", "b"] * 30}, "both 'label' and 'Class' could be it"),
    ],
)
def test_a_target_that_cannot_be_told(columns, words, write_table):
    with pytest.raises(UserError, match=f"{words}: say --target COLUMN, of '{next(iter(columns))}' and"):
        look(write_table("a.csv", **columns))


# --- what is refused


def test_what_is_too_little_or_all_the_same(write_images, write_table):
    assert kinds(look(write_images("three", {"a": 1, "b": 1, "c": 1})))["fatal"] == ["rare_classes", "too_few"]
    one = look(write_table("one.csv", x=numbers(), target=["a"] * N))
    assert kinds(one)["fatal"] == ["one_class"]
    with pytest.raises(UserError, match="at least 2 are needed, one per class"):
        look(write_images("single", {"a": 30}))
    identifier = look(write_table("id.csv", x=numbers(), target=[f"person {i}" for i in range(N)]))
    assert identifier.fatal[0].kind == "identifiers" and "'person 0' say" in identifier.fatal[0].sentence


def test_folders_without_anything_to_learn_from(tmp_path):
    (tmp_path / "papers").mkdir()
    with pytest.raises(UserError, match="papers has no file: give a folder"):
        look(tmp_path / "papers")
    for i in range(3):
        (tmp_path / f"papers/{i}.pdf").write_text("x")
    with pytest.raises(UserError, match="only files that end in 3 .pdf: give"):
        look(tmp_path / "papers")
    (tmp_path / "papers/rows.csv").write_text("a,b\n")
    with pytest.raises(UserError, match="a folder with 1 table.*: give one of them, .*rows.csv"):
        look(tmp_path / "papers")
    for part in ("train", "valid", "test"):
        (tmp_path / f"papers/{part}.txt").write_text("x")
    with pytest.raises(UserError, match="a text for a language model"):
        look(tmp_path / "papers")


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.zip", b"PK", "is an archive: unpack it"),
        ("a.pkl", b"\x80\x04", "a pickle, which is never read"),
        ("a.xlsx", b"PK", "save it as CSV"),
        ("a.png", b"\x89PNG", "is one file: give a folder with one folder of images per class"),
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"a,b\n1,\xff\n", "no text in UTF-8, see its line 2"),
        ("a.csv", b"a,b\n1,2,3\n", "Line 2 of"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', "Line 2 of"),
        ("a.jsonl", b'{"a": "x", "b": "y"}\n', "no column of sentences, only 'a' and 'b'"),
        ("a.parquet", b"PAR1", "a.parquet"),
    ],
)
def test_files_of_which_nothing_can_be_learnt(name, content, words, tmp_path):
    if name == "a.parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        look(tmp_path / name)


def test_what_does_not_fit_together(write_images, write_table):
    folder, file = write_images("pets", {"cat": 12, "dog": 12}), write_table("a.csv", x=numbers(), y=["a", "b"] * 30)
    for data, settings, words in (
        (folder, {"target": "x"}, "leave out --target"),
        ("digits", {"target": "x"}, "leave out --target"),
        (folder, {"keep": ("x",)}, "leave out --keep"),
        (file, {"keep": ("z",)}, "Unknown column to keep: 'z'"),
        (file, {"target": "z"}, "Unknown column of"),
        (f"table:path={file},target=y", {"target": "x"}, "give one"),
        (f"table:path={file},target=y,limit=many", {}, "'limit' of data set 'table' is a number"),
        (f"table:path={file},taget=y", {}, "taget"),
        ("digtis", {}, "There is no file, folder or data set 'digtis' .there is digits.: give"),
        ("imagenet:path=/nowhere", {}, "nowhere"),
        (" ", {}, "The data are not named"),
        (write_table("b.csv", x=["inf", *numbers()[1:]], y=["a", "b"] * 30), {}, "has inf, expected numbers"),
        (write_table("c.csv", x=["a", "b"] * 30, y=["inf", *numbers()[1:]]), {}, "has inf, expected numbers"),
    ):
        with pytest.raises(UserError, match=words):
            look(data, **settings)


def test_what_is_learnt_by_other_tasks(tmp_path):
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text("some words of a text\n")
    with pytest.raises(UserError, match="'text_folder' is for the task 'language'"):
        look(f"text_folder:path={tmp_path}")


def test_a_path_with_what_choices_are_written_with(write_table):
    file = write_table("it's a,limit=3.csv", x=numbers(), y=["a", "b"] * 30)
    found = look(file)
    assert load(found.data).name == "it's a,limit=3" and len(load(found.data).train_y) == 48
    assert look(found.data) == look(found.data) and look(found.data).data == found.data


def test_every_severity_comes_after_the_worse_ones(write_table):
    order = [("fatal", "warning", "note").index(one.severity) for one in look(messy(write_table)).findings]
    assert order == sorted(order) and len(order) > 3
