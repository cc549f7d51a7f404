"""A config round-trips, and a mistake in one is named."""

import dataclasses
import json

import pytest

from dnas import compare
from dnas.config import (
    AlphaConfig,
    AugmentConfig,
    Config,
    RetrainConfig,
    SearchConfig,
    WeightConfig,
    from_dict,
    load,
    to_dict,
)
from dnas.errors import UserError
from dnas.fields import differences

OTHER = Config(
    space="nasbench201",
    method="gdas:temperature=3",
    seed=-5,
    seeds=3,
    dtype="bfloat16",
    search=SearchConfig(epochs=1, weights=WeightConfig(clip=0.0), alphas=AlphaConfig(beta1=0.0)),
    retrain=RetrainConfig(stem="imagenet", augment=AugmentConfig(cutout=0, flip=False)),
)


@pytest.mark.parametrize("config", [Config(), OTHER], ids=["defaults", "other"])
def test_a_config_survives_json(config, tmp_path):
    text = json.dumps(to_dict(config))
    assert from_dict(json.loads(text)) == config
    (tmp_path / "config.json").write_text(text)
    assert load(tmp_path) == load(tmp_path / "config.json") == load(str(tmp_path)) == config
    assert hash(config) == hash(from_dict(json.loads(text)))


def test_missing_fields_take_their_defaults():
    assert from_dict({"search": {"epochs": 3}}) == Config(search=SearchConfig(epochs=3))
    assert from_dict({}).retrain.weights.schedule == "cosine", "the default of retrain, not of WeightConfig"
    assert from_dict({"retrain": {"weights": {"clip": 1.0}}}).retrain.weights == WeightConfig(clip=1.0)


def test_a_whole_number_is_a_fine_float():
    config = from_dict({"search": {"weights": {"clip": 5}}})
    assert isinstance(config.search.weights.clip, float)


@pytest.mark.parametrize(
    "values, says",
    [
        ({"sapce": "darts"}, "Unknown config field 'sapce'. Did you mean space"),
        ({"search": {"epoch": 3}}, "field search.: 'epoch'. Did you mean epochs"),
        ({"search": {"alphas": {"lr": 3}}}, "search.alphas.: 'lr'. Known: .*learning_rate"),
        ({"search": 3}, "search.* must be a JSON object, not int"),
        ([], "A config must be a JSON object, not list"),
        ({"search": {"epochs": "3"}}, "search.epochs must be of type int, not '3'"),
        ({"search": {"epochs": 2.5}}, "search.epochs must be of type int, not 2.5"),
        ({"search": {"epochs": True}}, "search.epochs must be of type int, not True"),
        ({"search": {"augment": {"flip": 1}}}, "search.augment.flip must be of type bool, not 1"),
        ({"search": {"weights": {"clip": "5"}}}, "search.weights.clip must be of type float, not '5'"),
        ({"search": {"weights": {"clip": True}}}, "clip must be of type float"),
        ({"seed": None}, "seed must be of type int, not None"),
        ({"method": ["darts"]}, "method must be of type str"),
        ({"dtype": "float16"}, "value for dtype: 'float16'. Did you mean bfloat16 or float"),
        ({"search": {"order": "both"}}, "value for search.order: 'both'"),
    ],
)
def test_wrong_fields_and_types_are_named(values, says):
    with pytest.raises(UserError, match=says):
        from_dict(values)


@pytest.mark.parametrize(
    "values, says",
    [
        ({"seeds": 0}, "seeds must be at least 1 and at most 10,000, not 0"),
        ({"checkpoint_epochs": 0}, "checkpoint_epochs must be at least 1"),
        ({"search": {"epochs": 0}}, "search.epochs must be at least 1 and at most 1,000,000, not 0"),
        ({"search": {"batch_size": -4}}, "search.batch_size must be at least 1 and at most 1,000,000, not -4"),
        ({"search": {"valid_portion": 1.0}}, "search.valid_portion must be at least 0 and below 1"),
        ({"search": {"weights": {"warmup_start": -0.1}}}, "search.weights.warmup_start must be at least 0"),
        (
            {"search": {"weights": {"learning_rate": -1.0}}},
            "search.weights.learning_rate must be at least 0 and at most",
        ),
        ({"retrain": {"augment": {"pad": -1}}}, "retrain.augment.pad must be at least 0 and at most 1,000,000, not -1"),
        (
            {"search": {"alphas": {"decay": float("nan")}}},
            "search.alphas.decay must be at least 0 and at most 1,000,000,000, not nan",
        ),
        (
            {"search": {"alphas": {"decay": float("inf")}}},
            "search.alphas.decay must be at least 0 and at most 1,000,000,000, not inf",
        ),
    ],
)
def test_values_that_cannot_be_meant_are_named(values, says):
    with pytest.raises(UserError, match=says):
        from_dict(values)


def test_a_config_made_in_python_is_checked_too():
    with pytest.raises(UserError, match="search.epochs must be at least 1"):
        Config(search=SearchConfig(epochs=0))
    with pytest.raises(UserError, match="seeds must be at least 1"):
        dataclasses.replace(Config(), seeds=0)


def test_differences_name_the_fields():
    assert differences(OTHER, OTHER) == []
    changed = dataclasses.replace(Config(), seed=1, search=SearchConfig(alphas=AlphaConfig(decay=0.0)))
    assert differences(Config(), changed) == ["seed: 0 -> 1", "search.alphas.decay: 0.001 -> 0.0"]


def experiment(tmp_path, text):
    path = tmp_path / "table1.py"
    path.write_text(text)
    return path


def test_an_experiment_file_returns_a_config(tmp_path):
    path = experiment(tmp_path, "from dnas.config import Config\n\ndef config():\n    return Config(seed=9)\n")
    assert load(path) == Config(seed=9)


IMPORTS = "from dnas.config import Config, SearchConfig\n\n"


@pytest.mark.parametrize(
    "text, says",
    [
        ("import no_such_module", "table1.py failed: ModuleNotFoundError: .*no_such_module"),
        ("def config(:", "table1.py failed: SyntaxError"),
        ("x = 1", "table1.py has no config"),
        ("def config():\n    return {}", "must return a dnas.config.Config, not dict"),
        ("def config():\n    return 1 / 0", "failed: ZeroDivisionError"),
        (IMPORTS + "def config():\n    return Config(seeds=0)", "^seeds must be at least 1"),
        (IMPORTS + "def config():\n    return Config(seed='1')", "^seed must be of type int, not '1'"),
        (IMPORTS + "def config():\n    return Config(dtype='float16')", "value for dtype: 'float16'"),
        (
            IMPORTS + "def config():\n    return Config(search=SearchConfig(epochs=2.5))",
            "search.epochs must be of",
        ),
    ],
)
def test_a_broken_experiment_file_is_named(tmp_path, text, says):
    with pytest.raises(UserError, match=says):
        load(experiment(tmp_path, text))


SETTINGS = """from dnas.config import Config
SETTINGS = {"cifar10": 1, "s1": 2, "s2": 3}
def config(setting="cifar10"):
    return Config(seed=SETTINGS[setting])
def configs(setting="cifar10"):
    return {setting: config(setting)}
"""


def test_a_setting_is_named_behind_a_colon(tmp_path):
    path = experiment(tmp_path, SETTINGS)
    for written, seed in (("", 1), (":cifar10", 1), (":s1", 2), (":s2", 3)):
        assert load(f"{path}{written}").seed == seed
        assert [config.seed for config in compare.load(f"{path}{written}")[0].values()] == [seed]


@pytest.mark.parametrize("read", [load, compare.load])
def test_a_setting_that_is_not_there_is_refused_with_those_that_are(tmp_path, read):
    path = experiment(tmp_path, SETTINGS)
    with pytest.raises(UserError, match=r"Unknown setting of .*table1.py: 's3'. Did you mean s2 or s1\?$"):
        read(f"{path}:s3")
    for unlike in ("", "zzz"):
        with pytest.raises(UserError, match=f"'{unlike}'. Known: cifar10, s1, s2"):
            read(f"{path}:{unlike}")
    with pytest.raises(UserError, match="No such .*: 'nowhere.py:s1'"):
        read("nowhere.py:s1")


@pytest.mark.parametrize("parameters, more", [("", ""), ("seed=1", ""), ("", "SETTINGS = {}\n")])
def test_a_file_without_settings_takes_none(tmp_path, parameters, more):
    path = experiment(tmp_path, f"{IMPORTS}{more}def config({parameters}):\n    return Config()\n")
    assert load(path) == Config()
    with pytest.raises(UserError, match=r"config\(\) of .*table1.py has no settings: leave out ':s1'"):
        load(f"{path}:s1")


def test_paths_with_colons_are_paths(tmp_path):
    folder = tmp_path / "a.py:b"
    folder.mkdir()
    path = experiment(folder, SETTINGS)
    assert (load(path).seed, load(f"{path}:s1").seed) == (1, 2)
    named = tmp_path / "table1.py:s1"  # beside a file that has this setting
    experiment(tmp_path, SETTINGS)
    named.write_text('{"seed": 7}')
    assert load(named).seed == load(str(named)).seed == 7
    named.unlink()
    assert load(named).seed == 2


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UserError, match="No such config: 'nowhere.json'. Expected an experiment file"):
        load("nowhere.json")
    with pytest.raises(UserError, match="No such config"):
        load(tmp_path)  # a folder that is not a run
    (tmp_path / "broken.json").write_text('{"seed": ')
    with pytest.raises(UserError, match="broken.json is not valid JSON"):
        load(tmp_path / "broken.json")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(UserError, match="picture.png is not valid JSON"):
        load(tmp_path / "picture.png")
