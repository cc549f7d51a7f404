"""Texts with a class: official parts, files of one's own in every form, and mistakes with their file and line."""

import io
import json
import tarfile

import numpy as np
import pytest

from dnas.data import _sentences, load
from dnas.data._sentences import Examples, Row, Sentences, of_rows

needs_texts = pytest.mark.skipif(_sentences.locate().found is None, reason="needs textcls.tar.xz of DNAS_SHARED")
CSV = 'id,text,label\n1,a fine film,good\n2,"dull, and long",bad\n\n3,fine,good\n4,"not\nfine",bad\n5,NA,bad\n'


@needs_texts
@pytest.mark.parametrize(
    "name, sizes, first",
    [
        ("sst2", (6920, 872, 1821), ("a stirring , funny", "positive")),
        ("sst5", (8544, 1101, 2210), ("a stirring , funny", "very positive")),
        ("trec", (5452, 0, 500), ("How did serfdom develop", "description")),
    ],
)
def test_the_official_parts(name, sizes, first):
    found = load(name)
    assert tuple(len(part.texts) for part in (found.train, found.valid, found.test)) == sizes
    assert found.train.texts[0].startswith(first[0]) and found.classes[found.train.y[0]] == first[1]
    assert {*found.train.y} == {*range(len(found.classes))} and not found.note
    assert len(found.classes) == {"sst2": 2, "sst5": 5, "trec": 6}[name]
    few = load(f"{name}:limit=50")
    assert [len(part.texts) for part in (few.train, few.valid, few.test)] == [50, 10 * bool(sizes[1]), 10]
    assert "only 50 of" in few.note


def rows(*labels):
    return [Row(f"text {i}", label, f"line {i} of there") for i, label in enumerate(labels)]


def test_classes_stand_in_the_order_of_numbers_or_of_texts():
    assert of_rows("mine", {"train": rows(*["10", "9"] * 5)}).classes == ("9", "10")
    assert of_rows("mine", {"train": rows(*["b", "10"] * 5)}).classes == ("10", "b")


def test_without_a_test_part_some_of_the_texts_are_one():
    found = of_rows("mine", {"train": rows(*"ab" * 10)}, seed=3)
    assert (len(found.train.texts), len(found.test.texts), len(found.valid.texts)) == (16, 4, 0)
    assert sorted(found.test.y) == [0, 0, 1, 1] and "20% held out with seed 3" in found.note
    both = {*found.train.texts, *found.test.texts}
    assert len(both) == 20
    for part in (found.train, found.test):
        assert all(
            text.removeprefix("text ") == place.split()[1] for text, place in zip(part.texts, part.places, strict=True)
        )
    other = of_rows("mine", {"train": rows(*"ab" * 10)}, seed=4)
    assert other.test.texts != found.test.texts


def test_a_table_is_read_with_its_lines(tmp_path):
    (tmp_path / "mine.csv").write_text(CSV * 1)
    (tmp_path / "test.csv").write_text("label;text\ngood;yes\n")
    found = load(f"text_table:path={tmp_path / 'mine.csv'},test={tmp_path / 'test.csv'}")
    assert found.train.texts == ("a fine film", "dull, and long", "fine", "not\nfine", "NA")
    assert [place.split()[1] for place in found.train.places] == ["2", "3", "5", "6", "8"]
    assert found.classes == ("bad", "good") and found.train.y.tolist() == [1, 0, 1, 0, 0]
    assert (found.name, found.test.texts, found.test.y.tolist()) == ("mine", ("yes",), [1])
    assert found.task == "text_classification"


def test_quotes_are_letters_of_a_tsv(tmp_path):
    (tmp_path / "mine.tsv").write_text('sentence\tgrade\n"a b\t1\nc" d\t0\ne\t1\nf\t0\n')
    path = tmp_path / "mine.tsv"
    found = load(f"text_table:path={path},text=sentence,label=grade,test={path},valid={path}")
    assert found.train.texts == ('"a b', 'c" d', "e", "f") == found.valid.texts
    assert found.classes == ("0", "1")


def test_json_lines_are_read(tmp_path):
    lines = [json.dumps({"text": "ä b", "label": i % 2, "other": None}) for i in range(4)]
    (tmp_path / "mine.jsonl").write_text("\n\n".join(lines), encoding="utf-8")
    path = tmp_path / "mine.jsonl"
    found = load(f"text_table:path={path},test={path}")
    assert found.train.texts == ("ä b",) * 4 and found.classes == ("0", "1")
    assert found.train.places[1] == f"line 3 of {path}"


def test_a_folder_has_a_folder_for_every_class(tmp_path):
    for part in ("", "train", "test", "valid"):
        for name in ("good", "bad"):
            folder = tmp_path / ("flat" if not part else "split") / part / name
            folder.mkdir(parents=True)
            for i in range(3):
                (folder / f"{i}.txt").write_text(f"{name}\n {part} {i} \n")
            (folder / "notes.md").write_text("no text of these")
    flat, split = (load(f"text_table:path={tmp_path / name}") for name in ("flat", "split"))
    assert (len(flat.train.texts), len(flat.test.texts), flat.classes) == (5, 1, ("bad", "good"))
    assert [len(part.texts) for part in (split.train, split.valid, split.test)] == [6, 6, 6]
    assert split.valid.texts[0] == "bad valid 0" and split.valid.places[0].endswith("0.txt")


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("a.csv", b"text,label\nfine,1\n\xff,0\n", ("a.csv: it is no text in UTF-8", "line 3")),
        ("a.csv", b"text,label\nfine,1\n ,0\n", ("Line 3 of", "a.csv has an empty 'text'")),
        ("a.csv", b"text,label\nfine,\n", ("Line 2 of", "a.csv has an empty 'label'")),
        ("a.csv", b"text,label\nfine,1,2\n", ("Line 2 of", "has 3 cells")),
        ("a.csv", b"text,text\nfine,1\n", ("a.csv has several columns named 'text'",)),
        ("a.csv", b"text,label\nfine,1\nbad,0\ngood,1\n", ("The class '0' has one text, line 3 of", "a.csv")),
        ("a.csv", b"text,label\nfine,1\ngood,1\n", ("only the class '1'", "line 2 of", "a.csv")),
        ("a.csv", b"text,label\n", ("a.csv has no text",)),
        ("a.csv", b"", ("a.csv has no text",)),
        ("a.jsonl", b'{"text": "a", "label": 1}\n[1]\n', ("Line 2 of", "a.jsonl is no JSON object")),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{', ("Line 2 of", "a.jsonl is no JSON object")),
        ("a.jsonl", b'{"text": "a", "label": null}\n', ("Line 1 of", "a.jsonl has an empty 'label'")),
    ],
)
def test_mistakes_are_named_by_file_and_line(name, content, says, tmp_path, refused):
    (tmp_path / name).write_bytes(content)
    with refused(*says):
        load(f"text_table:path={tmp_path / name}")


def test_other_mistakes(tmp_path, refused):
    (tmp_path / "a.csv").write_text("txt,label\nfine,1\n")
    with pytest.raises(Exception, match=r"Unknown column in line 2 of .*a.csv: 'text'. Did you mean txt\?"):
        load(f"text_table:path={tmp_path / 'a.csv'}")
    with refused("needs the path", "text_table:path=FILE"):
        load("text_table")
    with refused("Cannot read", "none.csv"):
        load(f"text_table:path={tmp_path / 'none.csv'}")
    (tmp_path / "good").mkdir()
    with refused(tmp_path, "has 1 class folder(s)"):
        load(f"text_table:path={tmp_path}")
    (tmp_path / "bad").mkdir()
    with refused(tmp_path / "bad", "has no text"):
        load(f"text_table:path={tmp_path}")
    for name in ("good", "bad"):
        (tmp_path / name / "1.txt").write_text("a" if name == "good" else " \n")
    with refused(tmp_path / "bad" / "1.txt", "is empty"):
        load(f"text_table:path={tmp_path}")
    with refused("is a folder", "leave out 'test' and 'valid'"):
        load(f"text_table:path={tmp_path},test=a.csv")
    (tmp_path / "b.csv").write_text("text,label\na,1\nb,1\nc,0\nd,0\n")
    (tmp_path / "c.csv").write_text("text,label\na,1\nb,2\n")
    with refused("The class '2' of line 3 of", "c.csv is none of the train texts"):
        load(f"text_table:path={tmp_path / 'b.csv'},test={tmp_path / 'c.csv'}")


def test_a_damaged_archive(data_folder, refused):
    def write(members):
        with tarfile.open(data_folder / "textcls.tar.xz", "w:xz") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(f"textcls/trec/TREC.{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))

    write({"train": b"HUM:ind Who\xe9 ?\nNUM:date When ?\n", "test": b"LOC:city Where ?\n"})
    found = load("trec")
    assert found.train.texts == ("Whoé ?", "When ?") and found.classes[found.test.y[0]] == "location"
    write({"train": b"HUM:ind Who ?\n"})
    with refused("has no textcls/trec/TREC.test", "get textcls.tar.xz again"):
        load("trec")
    write({"train": b"HUM:ind Who ?\nWhen ?\n", "test": b"LOC:city Where ?\n"})
    with refused("line 2 of textcls/trec/TREC.train, 'When ?'", "get textcls.tar.xz again"):
        load("trec")


def test_sentences_are_checked(refused):
    good = Examples(("a", "b"), np.array([0, 1], np.int32), ("here", "there"))
    for changes, says in (
        ({"classes": ("a",)}, "has 1 class(es)"),
        ({"train": Examples()}, "The train part of 'mine' has no text"),
        ({"test": Examples(("a",), np.array([0, 1], np.int32), ("here",))}, "has 1 texts, but labels int32 [2]"),
        ({"valid": Examples(("a",), np.array([2], np.int32), ("here",))}, "none of its 2 classes"),
    ):
        with refused(says):
            Sentences(**{"name": "mine", "train": good, "valid": good, "test": good, "classes": ("x", "y")} | changes)


def test_a_folder_that_is_a_part_by_its_name_is_no_class(tmp_path):
    for name in ("good", "bad", "val"):
        (tmp_path / name).mkdir()
        for i in range(5):
            (tmp_path / name / f"{i}.txt").write_text(f"a {name} film, number {i}")
    found = load(f"text_table:path={tmp_path}")
    assert found.classes == ("bad", "good") and "left out: 'val' (it has no class folders)" in found.note
