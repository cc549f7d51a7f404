"""Pairs of texts: Multi30k as it is, files of one's own, and what they are refused for."""

import pytest

from dnas.data import load
from dnas.data.multi30k import locate
from dnas.errors import UserError

needs_multi30k = pytest.mark.skipif(locate().found is None, reason="multi30k.tar.xz is not here")


@pytest.fixture
def files(tmp_path):
    """`files(name=content, ...)` -> the settings of these files: a list of lines, or bytes."""

    def written(**contents):
        settings = []
        for name, lines in contents.items():
            content = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
            (tmp_path / name).write_bytes(content)
            settings.append(f"{name}={tmp_path / name}")
        return "parallel_text:" + ",".join(settings)

    return written


@needs_multi30k
def test_multi30k():
    found = load("multi30k")
    assert [len(part.sources) for part in (found.train, found.valid, found.test)] == [29000, 1014, 1000]
    assert found.train.sources[2] == "a little girl climbing into a wooden playhouse ."
    assert found.train.targets[2] == "ein kleines mädchen klettert in ein spielhaus aus holz ."
    assert found.train.places[2] == tuple(f"line 3 of multi30k/train.lc.norm.tok.{one}" for one in ("en", "de"))
    assert found.tokenised and "lower case" in found.note and found.task == "translation"
    assert not any("&apos;" in text or "&quot;" in text for text in found.train.sources + found.train.targets)
    other = load("multi30k:direction=de-en,test=2017_mscoco")
    assert other.train.sources == found.train.targets and len(other.test.sources) == 461


@needs_multi30k
def test_multi30k_has_these_directions_and_tests():
    with pytest.raises(UserError, match="direction of 'multi30k': 'en-fr'. Did you mean en-de?"):
        load("multi30k:direction=en-fr")
    with pytest.raises(UserError, match="test part of 'multi30k': '2019_flickr'. Did you mean"):
        load("multi30k:test=2019_flickr")


def test_own_files(files):
    ours = {"source": ["a b", " c "] * 5, "target": ["b a", "c"] * 5}
    whole = {"valid_source": ["d"], "valid_target": ["d"], "test_source": ["e", "f"], "test_target": ["e", "f\r"]}
    found = load(files(**ours, **whole))
    assert found.train.sources[:2] == ("a b", "c") and found.train.targets[:2] == ("b a", "c")
    assert found.valid.sources == ("d",) and found.test.targets == ("e", "f") and not found.note
    assert not found.tokenised and load(files(**ours) + ",tokenised=true").tokenised


def test_a_test_part_is_held_out(files):
    numbers = [str(number) for number in range(20)]
    choice = files(source=numbers, target=numbers)
    found, other = load(choice), load(f"{choice},seed=1")
    assert len(found.train.sources) == 16 and not found.valid.sources and "20% held out with seed 0" in found.note
    assert {*found.train.sources, *found.test.sources} == {*numbers} and found.test.sources == found.test.targets
    assert other.test.sources != found.test.sources
    small = load(f"{choice},limit=10")
    assert {*small.train.sources} < {*found.train.sources} and len(small.test.sources) == 2
    assert "only 10 of 16 train" in small.note


@pytest.mark.parametrize(
    "contents, words",
    [
        ({"source": ["a", "b"], "target": ["a"]}, ("source has 2 lines", "target 1", "give both as many")),
        ({"source": ["a", "b"], "target": ["a", " "]}, ("Line 2 of", "target is empty")),
        ({"source": ["", "b"], "target": ["a", "b"]}, ("Line 1 of", "source is empty")),
        ({"source": ["a", "b"], "target": b"a\nb\xff\n"}, ("target: it is no text in UTF-8", "line 2")),
        ({"source": b"", "target": b""}, ("source is empty",)),
        ({"source": ["a"], "target": ["a"]}, ("one pair", "give more")),
        ({"source": ["a", "b"]}, ("two files for its train part",)),
        (
            {"source": ["a", "b"], "target": ["a", "b"], "test_target": ["a"]},
            ("two files for its test part",),
        ),
    ],
)
def test_what_is_refused(files, refused, contents, words):
    with refused(*words):
        load(files(**contents))


def test_a_file_that_is_not_there(refused, tmp_path):
    with refused("Cannot read", "missing", "No such file"):
        load(f"parallel_text:source={tmp_path}/missing,target={tmp_path}/missing")
