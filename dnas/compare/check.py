"""What cannot be compared is refused before anything is searched."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dnas import data as datasets
from dnas import find
from dnas.architectures.genotype_data import shown
from dnas.architectures.topology import Space
from dnas.blackbox.config import BlackboxConfig
from dnas.blackbox.jobs import build
from dnas.compare import correlation
from dnas.compare.experiment import AnyConfig, Baseline
from dnas.compare.protocol import Protocol
from dnas.compare.rows import is_random
from dnas.config import Config
from dnas.data import Text
from dnas.data._pairs import Pairs
from dnas.data._sentences import Sentences
from dnas.errors import StorageError, UserError, unknown
from dnas.evaluators.protocol import Evaluator, HostEvaluator
from dnas.files import storage
from dnas.search.tradeoff import weights

NAME = re.compile(r"\w[^/\\\x00-\x1f\x7f]{0,99}")
TRUTH = "cifar10_test_200"  # what cells are looked up in NAS-Bench-201 for


def check(configs: Mapping[str, AnyConfig], folder: Path, train: bool = True, protocol: Protocol | None = None) -> None:
    """Refuse what cannot be compared; train: whether cells are trained. Errors: `UserError`."""
    if not configs:
        raise UserError("There is nothing to compare: configs() gave no config.")
    if all(isinstance(config, Baseline) for config in configs.values()):
        raise UserError(
            "All rows are baselines, which do not say in what space, on what data and how their networks are trained: "
            "add a Config of a search."
        )
    for name in configs:
        if not NAME.fullmatch(name) or is_random(name) or name == "cells" or name.startswith("comparison."):
            raise UserError(
                f"{shown(name)} cannot name a method of a comparison, as it names a folder in that of the comparison: "
                "choose up to 100 letters, digits, blanks and signs as in 'darts, 2nd order'."
            )
        if isinstance(config := configs[name], Config) and config.penalty and len({*weights(config)}) > 1:
            raise UserError(
                f"Compared are methods by their seeds, and those of '{name}' have different weights of its penalty "
                f"'{config.penalty}': make a row for each."
            )
        if isinstance(config, Config) and config.grid:
            raise UserError(
                f"Compared are methods by their seeds, and those of '{name}' have different values of its grid "
                f"'{config.grid}': make a row for each."
            )
    gradients = {name: config for name, config in configs.items() if isinstance(config, Config)}
    for name, config in gradients.items():
        _check_alike(name, config, *next(iter(gradients.items())))
    space = space_of(configs)
    if train:
        _check_cells(gradients, space)
    _check_searchers(configs, space, train)
    _check_protocol(protocol or Protocol(), configs, space, train)
    with storage(folder):
        free = not folder.exists() or (folder.is_dir() and all(file.name.startswith(".") for file in folder.iterdir()))
    if not free and not (folder / "comparison.json").is_file():
        raise UserError(f"{folder} is not empty and holds no comparison: choose another --out.")


def base_of(configs: Mapping[str, AnyConfig]) -> Config | None:
    """The first config that says how cells are trained, by which those of searchers and random ones are; None: none
    does."""
    return next((config for config in configs.values() if isinstance(config, Config)), None)


def space_of(configs: Mapping[str, AnyConfig]) -> Space:
    """The space that all of them search."""
    if (base := base_of(configs)) is not None:
        return find.resolve("space", base.space)
    searchers = {name: config for name, config in configs.items() if isinstance(config, BlackboxConfig)}
    return evaluator_of(*next(iter(searchers.items()))).space


def evaluator_of(name: str, config: BlackboxConfig) -> Evaluator | HostEvaluator:
    """Of a searcher that is put together. Errors: `UserError` that names the row."""
    with of_row(f"'{name}'"):
        return build(config).evaluator


@contextmanager
def of_row(what: str) -> Iterator[None]:
    """A `UserError` inside says what is refused."""
    try:
        yield
    except StorageError:  # full or damaged: says nothing about the row
        raise
    except UserError as error:
        raise UserError(f"{what} is refused: {error}") from error


def _check_alike(name: str, config: Config, first_name: str, first: Config) -> None:
    for field in ("space", "data", "task", "dtype", "retrain"):
        if getattr(config, field) != getattr(first, field):
            raise UserError(
                f"Compared are methods, so all configs share their {field}, but that of '{name}' differs from that of "
                f"'{first_name}'."
            )


def _check_cells(configs: Mapping[str, Config], space: Space) -> None:
    for name, config in configs.items():
        lacking = {*space.contained(config.retrain.cells)} - {*space.contained(config.search.cells)}
        if lacking:
            raise UserError(
                f"The networks that are trained contain {min(lacking)} cells, and the supernet of '{name}' does not: "
                "choose more search.cells, or fewer retrain.cells."
            )


def _check_searchers(configs: Mapping[str, AnyConfig], space: Space, train: bool) -> None:
    first = next(iter(configs))
    if train and base_of(configs) is None:
        raise UserError(
            "All rows are of searchers, and none says how found cells are trained: add --lookup, or a Config with its "
            "retrain settings."
        )
    for name, config in configs.items():
        if not isinstance(config, BlackboxConfig):
            continue
        evaluator = evaluator_of(name, config)
        if (evaluator.space.name, evaluator.space.cells) != (space.name, space.cells):
            raise UserError(
                f"Compared are methods on one space, but '{name}' searches '{evaluator.space.name}' as its evaluator "
                f"has it, and '{first}' '{space.name}' with other cells: give both the same."
            )
        base = base_of(configs)
        if isinstance(evaluator, HostEvaluator) and base is not None and evaluator.data != base.data:
            raise UserError(
                f"Compared are methods on one data set, but the evaluator of '{name}' reads '{evaluator.data}' and the "
                f"others '{base.data}': name the same, as in proxy:data='{base.data}'."
            )
        if isinstance(evaluator, Evaluator) and evaluator.truths and TRUTH not in next(iter(evaluator.truths.items())):
            raise UserError(
                f"Found cells are looked up for CIFAR-10, but '{name}' searches with '{config.evaluator}', which is "
                "after another data set: use table:data=cifar10, or dnas blackbox."
            )


def _validates(base: Config, space: Space) -> bool:
    """Whether trainings have a validation part: one that is split off, or the data set's own."""
    if base.retrain.valid_portion > 0 or not {*space.readable} & {"tokens", "pairs"}:
        return base.retrain.valid_portion > 0
    dataset = datasets.load(base.data)
    return isinstance(dataset, Text) or (isinstance(dataset, Sentences | Pairs) and bool(dataset.valid.places))


def _check_protocol(protocol: Protocol, configs: Mapping[str, AnyConfig], space: Space, train: bool) -> None:
    for name in protocol.tuning:
        if name not in configs:
            raise unknown("method in the tuning of this comparison:", name, configs)
    base = base_of(configs)
    asked = {name: getattr(protocol, name) for name in ("learning_rates", "weight_decays")}
    asked["train_seeds"] = protocol.train_seeds > 1
    if not train and any(asked.values()):
        name = next(name for name, value in asked.items() if value)
        raise UserError(f"{name} says how found cells are trained, and with --lookup none is: leave one of them out.")
    tried = len(protocol.settings(base.retrain)) if train and base is not None else 1
    if tried > 1 and not (base is not None and _validates(base, space)):
        raise UserError(
            f"{tried} settings of training are tried, of which the validation score chooses, and there is no "
            "validation part: set retrain.valid_portion to 0.1, say."
        )
    if protocol.measure and space.takes != "pairs":
        raise UserError(
            f"Compared is {protocol.measure}, of networks that write texts, and those of '{space.name}' here do not: "
            "leave the measure of the protocol out."
        )
    if protocol.supernet_cells and not correlation.known(space):
        raise UserError(
            f"supernet_cells holds supernets against NAS-Bench-201, which does not know all cells of the '{space.name}'"
            " compared here: leave it out."
        )
