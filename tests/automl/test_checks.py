"""Every check of data: it says what is there, and nothing where it is not."""

import csv
from pathlib import Path

import numpy as np
import pytest

from dnas import find
from dnas.automl.checks._columns import are_dates, are_sentences, are_written_numbers, identifies
from dnas.automl.checks._groups import groups, listed, share
from dnas.automl.checks.protocol import Evidence
from dnas.automl.gather import columns, images, sounds, texts
from dnas.data import Dataset
from dnas.data._audio import Recordings, Sounds
from dnas.data._sentences import Row, of_rows

N = 240
RANDOM = np.random.default_rng(0)
WORDS = [
    *("the", "old", "cat", "saw", "a", "dog", "near", "our", "house"),
    *("and", "ran", "away", "from", "it", "all", "day", "long"),
]


@pytest.fixture(autouse=True)
def the_same_numbers():
    """Whatever ran before."""
    RANDOM.bit_generator.state = np.random.default_rng(1).bit_generator.state


class Rows(dict):
    """Columns by name."""


class Pictures(dict):
    """Changes of images: `change` is called with them and their classes."""


class Sayings(list):
    """Texts that are changed."""


class Noises(dict):
    """Recordings that are changed: sounds, and their sample rate."""


def clean_rows() -> dict[str, list]:
    """Numbers and categories that say something of the target, but not all."""
    y = RANDOM.integers(0, 2, N)
    size = RANDOM.normal(size=N) + y
    return {"size": size.tolist(), "sort": RANDOM.choice(["a", "b", "c"], N).tolist(), "target": y.tolist()}


def evidence(made: dict | list, tmp_path: Path) -> Evidence:
    match made:
        case Rows():
            table = clean_rows()
            for name, values in made.items():
                table[name] = values(table) if callable(values) else values
            file = tmp_path / "rows.csv"
            with file.open("w", newline="") as stream:
                csv.writer(stream).writerows([table, *zip(*table.values(), strict=True)])
            return columns.of_file(str(file), "target")
        case Pictures():
            x, y = RANDOM.integers(0, 256, (N, 8, 8, 3), np.uint8), np.arange(N, dtype=np.int32) % 2
            x, y = made.get("change", lambda x, y: (x, y))(x, y)
            test = made.get("test", 60)
            parts = x[:-test], y[:-test].astype(np.int32), x[-test:], y[-test:].astype(np.int32)
            return images.of_arrays(Dataset("pictures", *parts, made.get("classes", ("cat", "dog"))))
        case Sayings():
            said = [" ".join(RANDOM.choice(WORDS, 9)) for _ in range(N - len(made))] + made
            rows = [Row(text, ("good", "bad")[i % 2], f"line {i + 1}") for i, text in enumerate(said)]
            return texts.of_sentences(of_rows("sayings", {"train": rows}))
    assert isinstance(made, Noises)
    x = RANDOM.integers(-9000, 9000, (N, 800)).astype(np.int16)
    lengths = np.full(N, 800, np.int32)
    made.get("change", lambda x, lengths: None)(x, lengths)
    y = np.arange(N, dtype=np.int32) % 2
    parts = (Sounds(x[part], lengths[part], y[part]) for part in (slice(0, 180), slice(180, N)))
    return sounds.of_recordings(Recordings("noises", *parts, 8000, ("ba", "da")))


def put(**values):
    """A change of images or recordings: those at these places get these values."""

    def change(x, other):
        for place, value in values.items():
            x[int(place[1:])] = x[value] if isinstance(value, int) else value(x[int(place[1:])])
        return x, other

    return change


def first(count, value):
    """A column with another value in its first rows."""
    return lambda table: [value] * count + table["size"][count:]


def shrunk(x, y):
    """Of two classes of noise one that has one image of which there is a copy in a brighter light."""
    large = np.kron(RANDOM.integers(0, 200, (N, 4, 4, 1), np.uint8), np.ones((1, 2, 2, 3), np.uint8))
    large[1] = large[0] + 2
    return large, y


def grey(x, y):
    x[y == 0] = x[y == 0][..., :1]
    return x, y


DAYS = [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)]

# check: what it finds something in, how severe and where that is, and a part of its sentence
FIRES = {
    "too_few": (Pictures(change=lambda x, y: (x[:8], y[:8]), test=3), "fatal", "all parts", "There are 8 images"),
    "one_class": (Rows(target=["yes"] * N), "fatal", "classes", "are 'yes'"),
    "rare_classes": (Rows(target=["a"] * (N - 1) + ["b"]), "fatal", "classes", "1 class has a single one of the rows"),
    "imbalance": (Rows(target=["a"] * 220 + ["b"] * 20), "warning", "classes", "'a' has 11 times as many rows as 'b'"),
    "similar_class_names": (Pictures(classes=("Cat", "cat ")), "warning", "classes", "'Cat' and 'cat '"),
    "duplicates": (
        Pictures(change=put(_3=200, _4=201)),
        "warning",
        "train and test",
        "2 of 60 test images (3.3 %) are among those to learn from too",
    ),
    "conflicting_labels": (Pictures(change=put(_3=4)), "note", "labels", "2 of 240 images (0.8 %) are the same as"),
    "near_duplicates": (Pictures(change=shrunk), "note", "all parts", "1 of 240 images (0.4 %) is nearly the same"),
    "missing_values": (Rows(size=first(20, "")), "note", "size", "'size' in 20 of 240 rows (8.3 %)"),
    "missing_target": (Rows(target=["", "?"] + ["a", "b"] * 119), "warning", "target", "in 2 of 240 rows"),
    "constant_columns": (Rows(sort=["a"] * N), "note", "sort", "is 'a' in all 240 rows"),
    "same_columns": (Rows(again=lambda table: table["sort"]), "note", "again", "has the values of 'sort'"),
    "identifiers": (Rows(number=range(N)), "note", "number", "is another in every row"),
    "dates": (Rows(day=DAYS), "warning", "day", "84 different dates or times, as '2024-01-01'"),
    "many_categories": (Rows(zip=[f"z{i // 2}" for i in range(N)]), "warning", "zip", "120 categories"),
    "mixed_types": (Rows(size=first(5, "unknown")), "warning", "size", "5 texts among 235 numbers, as 'unknown'"),
    "written_numbers": (Rows(price=[f"{i},5" for i in range(N)]), "warning", "price", "written as '0,5'"),
    "odd_numbers": (Rows(size=first(5, -999)), "warning", "size", "is -999 in 5 rows"),
    "leaks": (
        Rows(answer=lambda table: ["yes" if y else "no" for y in table["target"]]),
        "warning",
        "answer",
        "says the target 'target' in other words",
    ),
    "same_source": (Rows(patient_id=[f"p{i % 30}" for i in range(N)]), "warning", "patient_id", "of its 30 values are"),
    "image_sizes": (None, "note", "sizes", "unequal sizes, from 12x8 (cat/0.png) to 40x30 pixels (dog/3.png)"),
    "image_colours": (Pictures(change=grey), "warning", "classes", "Most images of 'cat' are grey"),
    "damaged_files": (None, "fatal", "cat/7.png", "1 of 31 files cannot be read, as cat/7.png"),
    "silence": (Noises(change=put(_5=np.zeros_like)), "warning", "loudness", "is silent, as train recording 6"),
    "clipping": (Noises(change=put(_5=lambda x: np.sign(x) * 32767)), "note", "loudness", "is clipped"),
    "sample_rates": (None, "warning", "classes", "Each class has one sample rate, not all the same"),
    "lengths": (
        Sayings([" ".join(WORDS * 90)]),
        "warning",
        "lengths",
        "half have up to 9 words, and line 240 has 1,530",
    ),
    "encodings": (Sayings(["une Ã©tude de plus"]), "warning", "line 240", "1 of 240 texts (0.4 %) has letters that"),
    "empty_texts": (Sayings(["?!"]), "warning", "line 240", "has no word, only signs"),
}
CHECKS = find.available("check")


def test_every_check_has_a_case():
    assert set(FIRES) == set(CHECKS)


@pytest.mark.parametrize("name", [name for name, (made, *_) in FIRES.items() if made is not None])
def test_a_check_says_what_is_there(name, tmp_path):
    made, severity, where, words = FIRES[name]
    found = [one for one in CHECKS[name](evidence(made, tmp_path)) if one.where == where and one.severity == severity]
    assert any(words in one.sentence for one in found), found
    for one in found:
        assert one.kind == name and one.sentence.endswith(".") and "\n" not in one.sentence


@pytest.mark.parametrize("made", [Rows(), Pictures(), Sayings(), Noises()], ids=lambda made: type(made).__name__)
def test_nothing_is_said_of_data_that_are_sound(made, tmp_path):
    data = evidence(made, tmp_path)
    found = [one for check in CHECKS.values() for one in check(data)]
    assert {one.where for one in found} <= {"train", "test"}, found  # that they are few


# --- what the checks must not take for a fault, and what they must not miss


@pytest.mark.parametrize(
    "made, kind",
    [
        (Rows(price=(RANDOM.permutation(N) + 0.5).tolist()), "identifiers"),  # measured numbers differ as well
        (Rows(year=RANDOM.permutation(np.arange(N) * 9).tolist()), "identifiers"),  # and so may whole ones
        (Rows(mark=[f"{i % 40}" for i in range(N)]), "many_categories"),
        (Rows(near=lambda t: [y + RANDOM.normal() for y in t["target"]]), "leaks"),
        (Rows(answer=["1"] * N), "leaks"),
        (Rows(size=first(2, -999)), "odd_numbers"),
        (Rows(grade=["1", "2", "x"] * 80), "mixed_types"),
        (Rows(patient=range(N)), "same_source"),
        (Pictures(change=lambda x, y: (x[..., :1], y)), "image_colours"),  # grey all of them
        (Sayings(["ein schöner Tag für alle"]), "encodings"),
    ],
)
def test_what_is_no_fault(made, kind, tmp_path):
    assert not list(CHECKS[kind](evidence(made, tmp_path)))


@pytest.mark.parametrize(
    "made, kind, words",
    [
        (Rows(target=[f"person {i}" for i in range(N)]), "identifiers", "The target 'target' is another in every row"),
        (Rows(target=range(N)), "identifiers", "The target 'target' is another in every row"),
        (Rows(code=lambda t: [10 * y + RANDOM.random() for y in t["target"]]), "leaks", "nearly without a mistake"),
        (Rows(target=lambda t: t["size"], twice=lambda t: [2 * x for x in t["size"]]), "leaks", "'twice' is 'target'"),
        (Rows(size=[""] * 230 + [1.5] * 10), "missing_values", "has a value in 10 of 240 rows alone"),
        (Rows(none=[""] * N), "missing_values", "No row has a value in 'none'"),
        (Rows(note=[" ".join(RANDOM.choice(WORDS, 9)) for _ in range(N)]), "identifiers", "has sentences"),
        (Sayings(["THE same text!", "the same text"]), "near_duplicates", "1 of 240 texts (0.4 %) is nearly the same"),
        (Sayings(["как дела у вас"]), "encodings", "1 in Cyrillic, as line 240"),
        (Noises(change=lambda x, lengths: lengths.__setitem__(7, 90)), "lengths", "is shorter than 0.05 s"),
        (Pictures(change=put(_3=np.zeros_like)), "image_colours", "1 of 240 images (0.4 %) is of one colour all over"),
        (Rows(target=["a"] * 8 + ["b"] * 232), "rare_classes", "fewer than 10 rows: 'a: 8'"),
    ],
)
def test_what_must_not_be_missed(made, kind, words, tmp_path):
    found = list(CHECKS[kind](evidence(made, tmp_path)))
    assert any(words in one.sentence for one in found), found


def test_columns_of_a_table_by_their_values():
    assert are_dates(["2024-01-31", "2024-02-01 12:30"]) and are_dates(["31.1.24"]) and are_dates(["Mar 3, 2024"])
    assert not are_dates(["1.5", "2.25"]) and not are_dates(["2024"]) and not are_dates([])
    assert are_sentences(["this is a text", "and so is that one"]) and not are_sentences(["New York", "Rome"])
    assert not are_sentences(["1 2 3 4 5", "2 3 4 5 6"]) and not are_sentences([])
    assert identifies(np.arange(30.0)) and not identifies(np.arange(10.0))
    assert not identifies(np.array(["a", "b"] * 20, object))


def test_numbers_as_people_write_them():
    for text in ("1,5", "1,234.50", "1.234,50", "$3", "12 %", "-5,0 \N{EURO SIGN}"):
        assert are_written_numbers([text]), text
    for text in ("1.5", "192.168.0.1", "31.12.2024", "a1", "1-2", "1,2,3", ""):
        assert not are_written_numbers([text]), text
    assert not are_written_numbers([]) and not identifies(np.array([f"{i},5" for i in range(N)], object))


def test_groups_and_words():
    assert [group.tolist() for group in groups(np.array([3, 1, 3, 2, 1, 3]))] == [[0, 2, 5], [1, 4]]
    assert groups(np.array([1, 2])) == []
    assert (
        listed("a") == "'a'" and listed("abc") == "'a', 'b' and 'c'" and listed("abcde") == "'a', 'b', 'c' and 2 more"
    )
    assert [share(*pair) for pair in ((1, 10_000), (9_999, 10_000), (1, 2), (1, 8), (5, 5))] == [
        "under 0.1 %",
        "over 99.9 %",
        "50 %",
        "12.5 %",
        "100 %",
    ]
