"""A run, fully described: frozen dataclasses that round-trip through JSON and become the command line's options.

The defaults are the published protocol of DARTS (Liu, Simonyan and Yang 2019, arXiv:1806.09055; METHODS in their code).
"""

import dataclasses
import importlib.util
import inspect
import json
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from dnas import ranges
from dnas.errors import UserError, unknown
from dnas.paths import content_of
from dnas.ranges import Amount, Count, Depth, Portion, Range, Rate, Seed, Whole, Width

LARGEST_BYTES = 2**24  # of a file that holds a config


@dataclass(frozen=True)
class AugmentConfig:
    """What happens to a training image, inside the jitted step. What would leave less than half of a small image is
    scaled down, and the run says so."""

    pad: Whole = 4
    """Random crop after this many pixels of zero padding."""
    flip: bool = True
    """Random horizontal flip, unless it changes what the images of the data set mean."""
    cutout: Whole = 0
    """Side of the square that is blanked, in pixels, an odd one counting one less; 0 for none."""


@dataclass(frozen=True)
class WeightConfig:
    """How network weights are trained."""

    learning_rate: Amount = 0.025
    """Learning rate at the peak of the schedule, which most schedules begin with."""
    optimiser: str = "sgd"
    """What makes steps of gradients; see `dnas list`."""
    schedule: str = "cosine:end=0.001"
    """How the learning rate changes, from the end of the warm-up to the last epoch; see `dnas list`."""
    warmup_epochs: Whole = 0
    """Epochs at the start in which the learning rate rises, by the same amount at every step."""
    warmup_start: Portion = 0.0
    """Share of the learning rate that the warm-up begins with."""
    decay: Amount = 3e-4
    """Weight decay; L2, added to the gradient after clipping, or beside the gradient, as the optimiser has it."""
    clip: Amount = 5.0
    """Largest global norm of the gradient; 0 for no clipping."""
    reference_batch: Whole = 0
    """Examples of an update that the learning rate is meant for: with more it is larger, in proportion; 0: any."""


@dataclass(frozen=True)
class AlphaConfig:
    """How alphas are trained: Adam with coupled L2."""

    learning_rate: Rate = 3e-4
    """Learning rate, constant."""
    beta1: Portion = 0.5
    """Adam's first decay."""
    beta2: Portion = 0.999
    """Adam's second decay."""
    decay: Amount = 1e-3
    """L2 coefficient, added to the gradient."""
    clip: Amount = 0.0
    """Largest global norm of the gradient; 0 for no clipping."""
    initial_scale: Amount = 1e-3
    """Standard deviation of the initial alphas."""
    warmup_epochs: Whole = 0
    """Epochs at the start in which alphas stand still."""


@dataclass(frozen=True)
class SearchConfig:
    """The search itself."""

    epochs: Count = 50
    """Passes over the training half."""
    batch_size: Count = 64
    """Images per step and level."""
    cells: Depth = 8
    """Cells of the supernet (NAS-Bench-201: cells per stage)."""
    channels: Width = 16
    """Channels of the first cell."""
    valid_portion: Portion = 0.5
    """Part of the train set that trains the alphas."""
    remat: bool = False
    """Compute the inside of every cell again in the backward pass: less memory, more time."""
    unroll_cells: bool = False
    """Compile each cell by itself, not once per stage: with many cells less time and memory, more compilation."""
    levels: Literal["bilevel", "single"] = "bilevel"
    """Alphas on validation batches, or weights and alphas together on training batches."""
    order: Literal["alphas_first", "weights_first"] = "alphas_first"
    """Which level steps first."""
    inner_steps: Count = 1
    """Steps of the weights, each on a batch of its own, for one of the alphas."""
    weights: WeightConfig = field(default_factory=WeightConfig)
    alphas: AlphaConfig = field(default_factory=AlphaConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class RetrainConfig:
    """How a derived network is trained from scratch."""

    epochs: Count = 600
    """Passes over the whole train set, or over what validation leaves of it."""
    batch_size: Count = 96
    """Images per step."""
    accumulate: Count = 1
    """Batches of an update, one after the other, whose gradient is that of all as one; each is normalised by itself."""
    valid_portion: Portion = 0.0
    """Part of the train set that validates after every epoch and is not trained on; a text has one of its own."""
    cells: Depth = 20
    """Cells of the network (NAS-Bench-201: cells per stage)."""
    channels: Width = 36
    """Channels of the first cell."""
    remat: bool = False
    """Compute the inside of every cell again in the backward pass: less memory, more time."""
    stem: Literal["cifar", "imagenet"] = "cifar"
    """Stem: one convolution, or three of stride 2."""
    auxiliary: Amount = 0.4
    """Weight of the auxiliary head's loss; 0 for no such head."""
    drop_path: Portion = 0.2
    """Drop-path probability reached at the end; it rises linearly from 0."""
    label_smoothing: Portion = 0.0
    """Share of the label spread over all classes."""
    mixup: Annotated[float, Range(0, 1000)] = 0.0
    """Mixup of images and labels: both parameters of the beta distribution of the shares; 0 for none."""
    cutmix: Annotated[float, Range(0, 1000)] = 0.0
    """CutMix, likewise; with both, every batch has one of them by chance."""
    rand_augment: Annotated[int, Range(0, 14)] = 0
    """RandAugment: operations on each image; 0 for none."""
    magnitude: Annotated[int, Range(0, 30)] = 9
    """How strong the operations of RandAugment are."""
    average: str = "none"
    """What of the weights is evaluated and loaded, in place of the last ones; see `dnas list`."""
    patience: Whole = 0
    """Epochs no better on the validation part before the training ends, with the best; 0: it ends with the last one."""
    weights: WeightConfig = field(default_factory=lambda: WeightConfig(schedule="cosine"))
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(cutout=16))


@dataclass(frozen=True)
class Config:
    """One run. Choices are written `name` or `name:key=value,...`; see `dnas list`."""

    space: str = "darts"
    """What can be built."""
    method: str = "darts"
    """How it is searched."""
    data: str = "digits"
    """What it is searched on."""
    task: str = "auto"
    """What is learned from the data: losses, batches, measures; auto: what the data set is there for."""
    weights_from: str = ""
    """A run folder whose newest weights are the first ones; empty: they are drawn."""
    seed: Seed = 0
    """All randomness follows from it."""
    seeds: Annotated[int, Range(1, 10_000)] = 1
    """Independent searches in one program, seeded seed, seed + 1, ..."""
    checkpoint_epochs: Count = 1
    """Epochs between checkpoints."""
    budget: str = ""
    """Costs of the derived network and what they may be at most: parameters<3e6,latency_ms:device=raspi4<20."""
    penalty: str = ""
    """A cost of it that the outer loss has as well, from 0, the cheapest network, to 1, times weights, which seeds have
    in turn: parameters*0+0.3+1 with seeds 6 leaves a front of scores and costs."""
    grid: str = ""
    """Values of learning rates and weight decays, which seeds have in turn: search.alphas.learning_rate=[1e-4,1e-3]
    with seeds 6 is 3 searches with each in one program; of several fields every combination."""
    dtype: Literal["float32", "bfloat16", "float64"] = "float32"
    """Type of activations; alphas, optimisers and statistics stay in float32 or better."""
    search: SearchConfig = field(default_factory=SearchConfig)
    retrain: RetrainConfig = field(default_factory=RetrainConfig)

    def __post_init__(self) -> None:
        check(self)


NASBENCH201_SEARCH = SearchConfig(
    cells=5, channels=16, order="weights_first", weights=WeightConfig(optimiser="sgd:nesterov=true", decay=5e-4)
)
"""How its authors search it with DARTS; in 50 epochs (D-X-Y/AutoDL-Projects)."""

NASBENCH201_TRAINING = RetrainConfig(
    epochs=200,
    batch_size=256,
    cells=5,
    channels=16,
    auxiliary=0.0,
    drop_path=0.0,
    weights=WeightConfig(0.1, "sgd:nesterov=true", "cosine", decay=5e-4, clip=0.0),
    augment=AugmentConfig(),
)
"""How NAS-Bench-201 trained its cells (Dong and Yang 2020, arXiv:2001.00326)."""


def check(config: Any, path: str = "") -> None:
    """Raise `UserError` for the first field that cannot be meant: see the ranges of their types."""
    for item in dataclasses.fields(config):
        name, value = f"{path}{item.name}", getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            check(value, f"{name}.")
        else:
            ranges.check(value, item.type, name)


def to_dict(config: Any) -> dict[str, Any]:
    """A JSON-ready dictionary."""
    return dataclasses.asdict(config)


def from_dict(values: dict[str, Any], kind: type = Config, path: str = "") -> Any:
    """Rebuild a config. Errors: `UserError` for an unknown field (with the nearest names) or a wrong type."""
    if not isinstance(values, dict):
        raise UserError(f"{path or 'A config'} must be a JSON object, not {type(values).__name__}.")
    known = {item.name: item for item in dataclasses.fields(kind)}
    built = {}
    for key, value in values.items():
        if key not in known:
            raise unknown(f"config field {path}:" if path else "config field", key, known)
        default = getattr(kind(), key)
        if dataclasses.is_dataclass(default):
            built[key] = from_dict(value, type(default), f"{path}{key}.")
        else:
            built[key] = _typed(value, default, known[key].type, f"{path}{key}")
    return kind(**built)


def load(source: str | Path) -> Config:
    """A config from an experiment file (.py with `config()`, or `file.py:setting`), a JSON file or a run folder.

    Errors: `UserError` if the file is missing, cannot be read, fails to import, does not know the setting, or holds an
    unknown field.
    """
    path, setting = parse_source(source)
    if path.is_dir():
        path = path / "config.json"
    if not path.exists():
        raise UserError(f"No such config: '{source}'. Expected an experiment file (.py), a .json file or a run folder.")
    if path.suffix == ".py":
        return _experiment(path, setting)
    try:
        values = json.loads(content_of(path, LARGEST_BYTES).decode())
    except (ValueError, RecursionError) as error:  # not JSON, or not even text
        raise UserError(f"{path} is not valid JSON: {error}.") from error
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold a JSON object, the fields of a config, not a {type(values).__name__}.")
    return from_dict(values)


def made_by(source: str | Path, name: str, kind: str, passed: bool = True) -> tuple[Any, Path, str | None]:
    """What a function of an experiment file (.py) returns, the file, and the setting that is named behind it, which
    `passed` hands to the function; kind: what is looked for, for messages. Errors: as `load`."""
    path, setting = parse_source(source)
    if path.suffix != ".py" or not path.exists():
        raise UserError(f"No such {kind}: '{source}'. Expected an experiment file (.py) with {name}().")
    return called(path, name, setting if passed else None), path, setting


def parse_source(source: str | Path) -> tuple[Path, str | None]:
    """`"experiments/darts.py:s1"` -> its file and its setting, None where none is named.

    Whatever exists under the whole text is meant by it, so paths may have colons.
    """
    file, colon, setting = str(source).rpartition(":")
    if colon and file.endswith(".py") and not os.path.exists(source):
        return Path(file), setting
    return Path(source), None


def _experiment(path: Path, setting: str | None) -> Config:
    made = called(path, "config", setting)
    if not isinstance(made, Config):
        raise UserError(f"config() in {path} must return a dnas.config.Config, not {type(made).__name__}.")
    return from_dict(to_dict(made))  # Python does not check the types of fields; from_dict does


def called(path: Path, name: str, setting: str | None, optional: bool = False) -> Any:
    """What a function of an experiment file returns, which may import others there; optional: None if it is missing."""
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent.absolute())
    try:
        sys.path.insert(0, folder)
        content_of(path, LARGEST_BYTES)  # what is no regular file would not be read to an end
        spec.loader.exec_module(module)
        if optional and not hasattr(module, name):
            return None
        if not hasattr(module, name):
            commands = {"config": "dnas search", "configs": "dnas compare", "searches": "dnas blackbox"}
            commands |= {"proxies": "scripts/proxies.py", "predictors": "scripts/latency_predictors.py"}
            commands["families"] = "scripts/transfer.py"
            others = {other: command for other, command in commands.items() if other != name}
            meant = [command for other, command in others.items() if hasattr(module, other)] or others.values()
            raise UserError(f"{path} has no {name}(), for {commands[name]}: is it a file for {' or '.join(meant)}?")
        function = getattr(module, name)
        if setting is None or (optional and not inspect.signature(function).parameters):
            return function()
        settings = module.__dict__.get("SETTINGS")
        if settings is None or not inspect.signature(function).parameters:
            raise UserError(f"{name}() of {path} has no settings: leave out ':{setting}'.")
        if setting not in settings:
            raise unknown(f"setting of {path}:", setting, settings)
        return function(setting)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"The experiment file {path} failed: {type(error).__name__}: {error}.") from error
    finally:
        sys.path.remove(folder)


def _typed(value: Any, default: Any, annotation: Any, name: str) -> Any:
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    if choices and value not in choices:
        raise unknown(f"value for {name}:", str(value), map(str, choices))
    if isinstance(default, bool):
        right = isinstance(value, bool)
    elif isinstance(default, float):
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
        try:
            value = float(value) if right else value
        except OverflowError:  # a whole number that no float can be
            value = math.inf
    else:
        right = isinstance(value, type(default)) and not isinstance(value, bool)
    if not right:
        raise UserError(f"{name} must be of type {type(default).__name__}, not {value!r}.")
    return value
