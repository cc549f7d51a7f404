"""What holds for every data set: it enumerates what exists, so a new file is tested without an edit here."""

import inspect
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from dnas.data import Dataset, Location, Text, load
from dnas.data._pairs import Pairs
from dnas.find import available, summary

EVERY = available("data set")
SETTINGS = {name: set(inspect.signature(factory).parameters) for name, factory in EVERY.items()}
PATHS = {"path", "source"}  # settings that name a file
NEED_A_PATH = {name: path for name, settings in SETTINGS.items() for path in PATHS & settings}
IMAGES = [name for name, settings in SETTINGS.items() if "size" in settings]  # the others: texts, tables


def locate(name: str) -> Location:
    return sys.modules[EVERY[name].__module__].locate()


def test_the_data_sets_are_found():
    assert {"digits", "fashion_mnist", "cifar10", "cifar100", "cifar10_jpeg", "image_folder", "npz"} <= set(IMAGES)
    assert {"ptb", "text_folder", "wine"} <= set(EVERY) - set(IMAGES)


@pytest.mark.parametrize("name", EVERY)
def test_has_a_summary_and_simple_keyword_settings(name):
    assert summary(EVERY[name]).endswith(".")
    parameters = inspect.signature(EVERY[name]).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY and isinstance(p.default, (str, int, float, bool)) for p in parameters)
    assert "limit" in SETTINGS[name]


@pytest.mark.parametrize("name", EVERY)
def test_locate_says_where_and_how_to_get_it(name):
    location = locate(name)
    assert location.how_to_get[0].isupper() and location.how_to_get.endswith(".")
    assert location.found in (None, "embedded") or location.found in location.searched
    assert all(isinstance(path, Path) for path in location.searched)
    assert location.searched or location.found == "embedded" or name in NEED_A_PATH


@pytest.mark.parametrize("name", EVERY)
def test_loads_or_says_what_to_do(name, refused):
    location = locate(name)
    how = location.how_to_get.split(" ", 1)[1]
    if location.found is None:
        with refused(name, how, *location.searched):
            load(name)
        return
    if name not in IMAGES:
        found = load(f"{name}:limit=50")
        assert found.name == name and found.task in available("task")
        if isinstance(found, Pairs):
            assert [len(part.sources) for part in (found.train, found.valid, found.test)] == [50, 10, 10]
        elif isinstance(found, Text):
            assert (len(found.train), len(found.valid), len(found.test)) == (50, 10, 10)
        else:
            assert (len(found.train_y), len(found.test_y)) == (50, 10)
        assert re.search("only (the first )?50 of", found.note)
        return
    data = load(f"{name}:limit=50,size=8")
    assert isinstance(data, Dataset)
    assert data.name == name
    assert data.train_x.shape[:3] == (50, 8, 8) and data.test_x.shape[:3] == (10, 8, 8)
    assert data.train_x.dtype == np.uint8 and data.train_y.dtype == np.int32
    assert len(np.unique(data.train_y)) == min(len(data.classes), 50)
    assert "only 50 of" in data.note
    again = load(f"{name}:limit=50,size=8")
    np.testing.assert_array_equal(data.train_x, again.train_x)


@pytest.mark.parametrize("name", EVERY)
def test_without_its_files_says_where_it_looked(name, data_folder, monkeypatch, refused):
    if name == "fashion_mnist":
        monkeypatch.setattr("dnas.data.fashion_mnist.DEBIAN", data_folder / "debian")
    location = locate(name)
    if location.found == "embedded":
        pytest.skip("comes with a package")
    assert location.found is None
    with refused(name, location.how_to_get.split(" ", 1)[1], *location.searched):
        load(name)


@pytest.mark.parametrize(
    "name, setting",
    [(name, setting) for name in EVERY for setting in ("limit", "size") if setting in SETTINGS[name]],
)
def test_negative_settings_are_refused(name, setting, refused, tmp_path):
    path = f",{NEED_A_PATH[name]}=somewhere" if name in NEED_A_PATH else ""
    words = [setting, "-1"] if locate(name).found else []
    with refused(*words):
        load(f"{name}:{setting}=-1{path}")
