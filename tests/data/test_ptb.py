"""Texts as data: Penn Treebank from its archive, and a folder of one's own."""

import io
import lzma
import tarfile

import numpy as np
import pytest

from dnas.data import Text, load, ptb
from dnas.data._archives import inflated_xz
from dnas.data._texts import from_contents
from dnas.errors import UserError

PTB = {"train": b" a b \n a <unk> \n", "valid": b" b c \n", "test": b" a \n\n"}
needs_ptb = pytest.mark.skipif(ptb.locate().found is None, reason="needs ptb.tar.xz of DNAS_SHARED")


def packed(members, kind=tarfile.REGTYPE):
    """A tar.xz of these contents by name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:xz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data) if kind == tarfile.REGTYPE else 0, kind
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def named(contents):
    return {f"ptb/ptb.{part}.txt": content for part, content in contents.items()}


def words(text, part):
    return [text.vocabulary[i] for i in getattr(text, part)]


@needs_ptb
def test_penn_treebank_has_its_published_size():
    text = load("ptb")
    assert (len(text.train), len(text.valid), len(text.test)) == (929_589, 73_760, 82_430)
    assert len(text.vocabulary) == 10_000 and {"<unk>", "<eos>", "N"} <= set(text.vocabulary)
    assert text.train.max() == 9_999 and text.train.dtype == np.int32
    assert words(text, "train")[:3] == ["aer", "banknote", "berlitz"]
    assert words(text, "train")[24] == "<eos>"
    assert np.unique(text.valid).max() < 10_000


def test_reads_the_archive_and_numbers_words_as_they_appear(data_folder):
    (data_folder / "ptb.tar.xz").write_bytes(packed(named(PTB) | {"ptb/other.txt": b"x"}))
    text = load("ptb")
    assert text.vocabulary == ("a", "b", "<eos>", "<unk>")
    assert text.train.tolist() == [0, 1, 2, 0, 3, 2]
    assert words(text, "valid") == ["b", "<unk>", "<eos>"]  # c is no word of the train part
    assert words(text, "test") == ["a", "<eos>", "<eos>"]  # an empty line ends, too
    assert text.task == "language"


def test_reads_a_folder_by_its_path(tmp_path):
    for part, content in PTB.items():
        (tmp_path / f"ptb.{part}.txt").write_bytes(content)
    assert load(f"ptb:path={tmp_path}").train.tolist() == [0, 1, 2, 0, 3, 2]


def test_reads_an_archive_by_its_path(tmp_path):
    (tmp_path / "mine.tar.xz").write_bytes(packed(named(PTB)))
    assert load(f"ptb:path={tmp_path / 'mine.tar.xz'}").valid.tolist() == [1, 3, 2]


def test_a_limit_keeps_the_start_and_its_vocabulary():
    contents = {part: b"w1 w2 w3 w4 w5 w6 w7 w8 w9\n" * 3 for part in PTB}
    text = from_contents("mine", contents, "give another", limit=15)
    assert (len(text.train), len(text.valid), len(text.test)) == (15, 3, 3)
    assert len(text.vocabulary) == 10
    assert text.note == "only the first 15 of 30 train tokens, a fifth as many of the other parts"
    assert from_contents("mine", contents, "give another", limit=100).note == ""
    short = from_contents("mine", contents, "give another", limit=3)
    assert words(short, "train") == ["w1", "w2", "w3"]
    assert len(short.vocabulary) == 3 and words(short, "valid") == ["w1", "w2"]


def test_without_unknown_words_there_is_none():
    contents = dict.fromkeys(PTB, b"a b\n")
    assert from_contents("mine", contents, "give another").vocabulary == ("a", "b", "<eos>")
    other = from_contents("mine", contents | {"test": b"c\n"}, "give another")
    assert other.vocabulary == ("a", "b", "<eos>", "<unk>") and words(other, "test") == ["<unk>", "<eos>"]


def test_characters_are_tokens_as_well():
    contents = {"train": b"ab  c\r\n\nb a\n", "valid": b"a\tb", "test": "ä\n".encode()}
    text = from_contents("mine", contents, "give another", tokens="characters")
    assert words(text, "train") == [*"ab  c\n\nb a\n"] and words(text, "valid") == ["a", "<unk>", "b"]
    assert words(text, "test") == ["<unk>", "\n"] and text.characters and text.unit == "characters"
    some = from_contents("mine", contents, "give another", limit=4, tokens="characters")
    assert words(some, "train") == [*"ab  "] and some.note.startswith("only the first 4 of 11 train tokens")
    with pytest.raises(UserError, match="blank"):
        from_contents("mine", contents | {"test": b" \n"}, "give one that is not blank", tokens="characters")
    with pytest.raises(UserError, match="Unknown value of setting 'tokens' of data set 'mine': 'letters'"):
        from_contents("mine", contents, "give another", tokens="letters")


def test_a_folder_says_which_file_and_line(tmp_path):
    for part in PTB:
        (tmp_path / f"{part}.txt").write_bytes(b"a b\nb\xff\n" if part == "valid" else b"a\nb\n")
    with pytest.raises(UserError, match="valid.txt: it is no text in UTF-8, see its line 2"):
        load(f"text_folder:path={tmp_path}")


def test_characters_of_lines_of_penn_treebank(data_folder):
    (data_folder / "ptb.tar.xz").write_bytes(packed(named(PTB)))
    text = load("ptb:tokens=characters")
    assert words(text, "train") == [*"a b\na <unk>\n"]
    assert words(text, "valid") == ["b", " ", "<unk>", "\n"]  # c is none of the train part


def test_only_line_feeds_end_a_line():
    text = from_contents("mine", dict.fromkeys(PTB, "a\x0bb\u2028c\r\nd".encode()), "give another")
    assert words(text, "train") == ["a", "b", "c", "<eos>", "d", "<eos>"]


@pytest.mark.parametrize(
    "change, says",
    [
        ({"valid": b"\xff\xfe a"}, "the valid part of 'ptb': it is no text in UTF-8"),
        ({"test": b""}, "the test part of 'ptb': it has no words"),
        ({"train": b"\n\n \n"}, "the train part of 'ptb': it has no words"),
    ],
)
def test_what_is_no_text_is_refused(change, says, data_folder, refused):
    (data_folder / "ptb.tar.xz").write_bytes(packed(named(PTB | change)))
    with refused(says, "get ptb.tar.xz again"):
        load("ptb")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_only_regular_members_count(kind, data_folder, refused):
    (data_folder / "ptb.tar.xz").write_bytes(packed(named(PTB), kind))
    with refused("has no ptb/ptb.test.txt", "get ptb.tar.xz again"):
        load("ptb")


def test_a_broken_archive_is_refused(data_folder, refused, monkeypatch):
    path, whole = data_folder / "ptb.tar.xz", packed(named(PTB))
    for content, says in (
        (b"", "ends early"),
        (b"no archive", "truncated or corrupt"),
        (whole[:-20], "ends early"),
        (whole[:60] + b"!" + whole[61:], "truncated or corrupt"),
        (whole + whole, "something follows"),
        (lzma.compress(b"no tar" * 200), "truncated or corrupt"),
    ):
        path.write_bytes(content)
        with refused(path, says, "get ptb.tar.xz again"):
            load("ptb")
    path.write_bytes(whole + bytes(512))  # padding is part of the format
    assert len(load("ptb").train) == 6
    monkeypatch.setattr(ptb, "MOST_BYTES", 5_000)
    path.write_bytes(packed(named(PTB | {"train": b"a " * 5_000})))
    with refused("inflates to more than 5,000 bytes"):
        load("ptb")


def test_a_decoder_takes_no_more_memory_than_it_may(tmp_path):
    """A header of an xz file may ask for 4 GB."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**28}]
    (tmp_path / "large.xz").write_bytes(lzma.compress(b"small", filters=filters))
    with pytest.raises(lzma.LZMAError, match="[Mm]emory"):
        inflated_xz(tmp_path / "large.xz", 1_000)
    (tmp_path / "usual.xz").write_bytes(lzma.compress(b"small", preset=9))
    assert inflated_xz(tmp_path / "usual.xz", 1_000) == b"small"


def test_a_folder_of_ones_own(tmp_path, refused):
    for part, content in PTB.items():
        (tmp_path / f"{part}.txt").write_bytes(content)
    text = load(f"text_folder:path={tmp_path}")
    assert text.name == tmp_path.name and words(text, "train") == ["a", "b", "<eos>", "a", "<unk>", "<eos>"]
    (tmp_path / "valid.txt").unlink()
    with refused(tmp_path / "valid.txt", "train.txt, valid.txt and test.txt"):
        load(f"text_folder:path={tmp_path}")
    with refused("needs the path of a folder"):
        load("text_folder")


def test_a_text_is_checked(refused):
    good = np.arange(4, dtype=np.int32)
    assert Text("mine", good, good, good, ("a", "b", "c", "d")).task == "language"
    for bad, says in (
        (good.astype(np.int64), "int32 [tokens], not int64 [4]"),
        (good[None], "int32 [tokens], not int32 [1, 4]"),
        (good[:1], "has 1 token(s)"),
        (good - 1, "tokens from -1 to 2"),
        (good + 1, "tokens from 1 to 4, but 4 words allow 0 to 3"),
    ):
        with refused("valid part of the text 'mine'", says):
            Text("mine", good, bad, good, ("a", "b", "c", "d"))
    with refused("has a word twice"):
        Text("mine", good, good, good, ("a", "b", "c", "c"))
