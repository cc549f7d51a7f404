"""What holds for every experiment: it enumerates the folder, so a new file is tested without an edit here."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dnas import compare, find
from dnas.blackbox import config as blackbox
from dnas.blackbox.config import BlackboxConfig
from dnas.blackbox.run import build
from dnas.config import Config, called, from_dict, load, to_dict
from dnas.costs import published
from dnas.errors import UserError

FOLDER = Path(__file__).parents[1] / "experiments"
EXPERIMENTS = find.experiments(FOLDER)
BLACKBOX = [path for path in EXPERIMENTS if "def searches(" in path.read_text()]
PROXIES = [path for path in EXPERIMENTS if "def proxies(" in path.read_text()]
PREDICTORS = [path for path in EXPERIMENTS if "def predictors(" in path.read_text()]
GRADIENT = [path for path in EXPERIMENTS if path not in (*BLACKBOX, *PROXIES, *PREDICTORS)]
SETTINGS = [(path, setting) for path in GRADIENT for setting in EXPERIMENTS[path].settings.split(",")]


def test_every_file_is_an_experiment():
    assert set(EXPERIMENTS) == set(FOLDER.glob("*.py"))
    assert len(EXPERIMENTS) >= 5


def compares(path):
    return "def configs(" in path.read_text()


@pytest.mark.parametrize("path, setting", SETTINGS, ids=lambda value: getattr(value, "stem", value))
def test_describes_a_run(path, setting):
    config = load(f"{path}:{setting}")
    assert isinstance(config, Config)
    assert from_dict(to_dict(config)) == config
    find.resolve("space", config.space)
    find.resolve("method", config.method)
    name, settings = find.parse_choice(config.data)
    assert name in find.described("data set")
    assert set(settings) <= set(find.available("data set")[name].__kwdefaults__)


@pytest.mark.parametrize("path", BLACKBOX, ids=lambda path: path.stem)
def test_a_file_of_searches_can_be_run(path):
    configs = blackbox.load_several(path)
    assert list(configs) == EXPERIMENTS[path].settings.split(",")
    assert len(set(configs.values())) == len(configs)
    for name, config in configs.items():
        build(config)
        assert blackbox.load_several(f"{path}:{name}") == {name: config}


@pytest.mark.parametrize("path", PREDICTORS, ids=lambda path: path.stem)
def test_a_file_of_predictors_names_devices_that_there_are(path):
    known = called(path, "predictors", None)
    assert list(known) == EXPERIMENTS[path].settings.split(",")
    for space, about in known.items():
        assert space in published.SPACES and not {*about["known"]} & {*about["unseen"]}
        if published.locate().found is not None:
            devices = published.help_latencies(space).devices
            assert {*about["known"], *about["unseen"]} <= {*devices}


@pytest.mark.parametrize("path", PROXIES, ids=lambda path: path.stem)
def test_a_file_of_proxies_names_all_of_them(path):
    known = called(path, "proxies", None)
    assert list(known) == EXPERIMENTS[path].settings.split(",")
    assert {find.parse_choice(choice)[0] for choice, *_ in known.values()} == set(find.described("proxy"))
    for choice, *_ in known.values():
        find.resolve("proxy", choice)


@pytest.mark.parametrize("path", GRADIENT, ids=lambda path: path.stem)
def test_its_first_setting_is_its_default_and_no_two_are_the_same(path):
    configs = [load(f"{path}:{setting}") for setting in EXPERIMENTS[path].settings.split(",")]
    assert load(path) == configs[0]
    assert len(set(configs)) == len(configs)


def compared(path):
    """Each comparison of a file: one, whose rows are its settings, or one for each of these."""
    several = "def configs(setting" in path.read_text()
    return [f"{path}:{setting}" for setting in EXPERIMENTS[path].settings.split(",")] if several else [f"{path}"]


@pytest.mark.parametrize(
    "source", [one for path in filter(compares, EXPERIMENTS) for one in compared(path)], ids=lambda one: Path(one).stem
)
def test_a_comparison_names_its_settings_alike(source, tmp_path):
    configs, protocol = compare.load(source)
    gradients = {name: config for name, config in configs.items() if isinstance(config, Config)}
    if source.endswith(".py"):
        assert list(gradients) == EXPERIMENTS[Path(source)].settings.split(",")
        assert all(load(f"{source}:{name}").method == config.method for name, config in gradients.items())
    else:
        first = next(iter(gradients.values()))
        assert first == replace(load(source), seeds=first.seeds)
    try:
        searchers = any(isinstance(config, BlackboxConfig) for config in configs.values())
        compare.check(configs, tmp_path, train=not searchers, protocol=protocol)
    except UserError as refused:
        if "DNAS_SHARED" not in str(refused):
            raise
        pytest.skip(str(refused))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_its_docstring_says_command_hardware_and_expectation(path):
    text, settings = path.read_text(), EXPERIMENTS[path].settings.split(",")
    assert EXPERIMENTS[path].line.endswith(".")
    command = "dnas blackbox" if path in BLACKBOX else "dnas compare" if compares(path) else "dnas search"
    command = "scripts/proxies.py" if path in PROXIES else command
    command = "scripts/latency_predictors.py" if path in PREDICTORS else command
    assert f"{command} experiments/{path.name}" in text
    assert "Hardware: " in text
    assert "Expected" in text
    named = re.findall(rf"experiments/{path.name}:(\S+)", text)
    assert set(named) <= set(settings)
    if len(settings) > 1 and path not in (*PROXIES, *PREDICTORS):
        assert named, "the commands show how a setting is named"
        for setting in () if compares(path) or path in BLACKBOX else settings:
            assert re.search(rf"^([\w, ]+, )?{setting}(, [\w, ]+)?: ", text, re.MULTILINE), setting
