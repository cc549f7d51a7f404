"""What the tests of data share: an empty data folder, and what counts as one sentence."""

import re
from pathlib import Path

import pytest

from dnas.data._files import NotHere
from dnas.errors import UserError


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty $DNAS_DATA_DIR; nothing is shared."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("DNAS_DATA_DIR", str(folder))
    monkeypatch.setenv("DNAS_SHARED", str(tmp_path / "nothing_shared"))
    return folder


@pytest.fixture
def refused():
    """`with refused("word", ...):` the block raises a UserError of one sentence that has all these words."""

    class Refused:
        def __init__(self, *words: object):
            self.words = words

        def __enter__(self):
            return self

        def __exit__(self, kind, error, _traceback):
            assert kind is not None, "nothing was refused"
            if kind not in (UserError, NotHere):
                return False
            sentence = str(error)
            assert "\n" not in sentence
            assert sentence.endswith("."), sentence
            assert not re.search(r"[.!?] [A-Z]", sentence), f"more than one sentence: {sentence}"
            assert "Traceback" not in sentence
            for word in self.words:
                assert str(word) in sentence, f"'{word}' is not in: {sentence}"
            return True

    return Refused
