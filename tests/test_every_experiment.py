"""What holds for every experiment: it enumerates the folder, so a new file is tested without an edit here."""

from pathlib import Path

import pytest

from dnas import find
from dnas.config import Config, from_dict, load, load_several, to_dict

FOLDER = Path(__file__).parents[1] / "experiments"
EXPERIMENTS = find.experiments(FOLDER)


def test_every_file_is_an_experiment():
    assert set(EXPERIMENTS) == set(FOLDER.glob("*.py"))
    assert len(EXPERIMENTS) >= 5


def described(path):
    """The configs of a file, and the command it is for."""
    if "def configs(" in path.read_text():
        return load_several(path), "dnas compare"
    return {"": load(path)}, "dnas search"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_describes_a_run(path):
    for config in described(path)[0].values():
        assert isinstance(config, Config)
        assert from_dict(to_dict(config)) == config
        find.resolve("space", config.space)
        find.resolve("method", config.method)
        name, settings = find.parse_choice(config.data)
        assert name in find.described("data set")
        assert set(settings) <= set(find.available("data set")[name].__kwdefaults__)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_its_docstring_says_command_hardware_and_expectation(path):
    text = path.read_text()
    assert EXPERIMENTS[path].endswith(".")
    assert f"{described(path)[1]} experiments/{path.name}" in text
    assert "Hardware: " in text
    assert "Expected" in text
