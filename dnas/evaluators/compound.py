"""Grid search for the coefficients of compound scaling, each by one training (`architectures/scaling.py`).

The network is made about twice as dear, phi = 1, by every alpha, beta, gamma of a grid, and trained as a config says;
the best accuracy on the validation part decides. Tan and Le 2019, EfficientNet, arXiv:1905.11946, section 3.3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from dnas import find
from dnas.architectures.genotype_data import Genotype
from dnas.architectures.scaling import Coefficients, Network, scaled_network
from dnas.config import Config
from dnas.errors import UserError
from dnas.evaluators.train import measured


class Point(NamedTuple):
    """What one training of the grid measured: the network, and its accuracy on the validation part."""

    coefficients: Coefficients
    network: Network
    accuracy: float


def search(config: Config, network: Network, chain: bool, grid: Sequence[Coefficients]) -> Iterator[Point]:
    """A point for all coefficients of the grid, in their order, each when it is trained.

    Errors: `UserError` for what cannot be trained; for a network that cannot be scaled so before anything is.
    """
    scaled = [scaled_network(network, each.at(1), chain) for each in grid]
    plans = [planned(config, one, chain) for one in scaled]
    for each, one, (plan, genotype) in zip(grid, scaled, plans, strict=True):
        yield Point(each, one, measured(plan, genotype)["accuracy"])


def planned(config: Config, network: Network, chain: bool) -> tuple[Config, Genotype]:
    """The config and the genotype of a training. Errors: `UserError` for data whose images have no size."""
    name, settings = find.parse_choice(config.data)
    summary = find.described("data set").get(name)
    if summary is not None and "size" not in {item.partition("=")[0] for item in summary.settings.split(",")}:
        raise UserError(f"The data set '{name}' has no setting 'size', which compound scaling sets: choose another.")
    settings["size"] = str(network.pixels)
    data = f"{name}:{','.join(f'{key}={value}' for key, value in settings.items())}"
    plan = config.retrain
    if not chain:
        stem: Any = network.size.stem
        plan = replace(plan, cells=network.size.cells, channels=network.size.channels, stem=stem)
    return replace(config, space="chain" if chain else config.space, data=data, seeds=1, retrain=plan), network.genotype
