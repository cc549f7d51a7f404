"""`dnas scale`."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from dnas import find, ranges
from dnas.cli.parsing import Flag, optional
from dnas.cli.show import LARGE, paper_size
from dnas.cli.sources import choice_of, config_of, genotype_of, is_run, print_text, space_of
from dnas.config import Config
from dnas.errors import UserError, unknown
from dnas.ranges import Depth, Range, Width

if TYPE_CHECKING:
    from dnas.architectures.scaling import Coefficients, Factors, Network
    from dnas.architectures.topology import Space

COEFFICIENT = Annotated[float, Range(1, 2)]
NUMBERS = {  # option: what it may be
    "phi": Annotated[float, Range(0, 10)],
    **dict.fromkeys(("alpha", "beta", "gamma"), COEFFICIENT),
    "channels": Width,
    "cells": Depth,
    "pixels": Annotated[int, Range(4, 4096)],
    "classes": Annotated[int, Range(2, 1_000_000)],
    "grid": Annotated[float, Range(0.02, 0.5)],
}
STEP = 0.2


@dataclass(frozen=True)
class Scale:
    """Make a network wider, deeper and its images larger by one number, and say what it costs (EfficientNet).

    NETWORK is a run folder or a genotype, as dnas show takes it. Of a chain of blocks the channels and the blocks of
    every stage are scaled; of a network of cells the channels of the first cell and the number of cells, not what is in
    a cell. Depth grows as alpha^phi, width as beta^phi, resolution as gamma^phi. With --search these three are found
    first: every one of a grid under alpha beta^2 gamma^2 = 2 is trained at phi 1, as the run or --config says.

    Examples:
      dnas scale efficientnet_b0 --phi 3
      dnas scale efficientnet_b0 --published b3
      dnas scale DARTS_V2 --phi 1.5
      dnas scale runs/first --phi 2
      dnas scale mobilenet_v2 --search --config experiments/efficientnet.py:small --phi 2
    """

    network: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NETWORK")]
    """A genotype or a run folder."""
    phi: Annotated[float | None, optional("PHI")] = None
    """How much larger; every 1 about doubles the multiply-adds. By default 1."""
    published: Annotated[str | None, optional("NAME")] = None
    """Width, depth and resolution of a published network in the place of phi: b1 to b7."""
    alpha: Annotated[float | None, optional("X")] = None
    """Depth at phi 1; by default 1.2."""
    beta: Annotated[float | None, optional("X")] = None
    """Width at phi 1; by default 1.1."""
    gamma: Annotated[float | None, optional("X")] = None
    """Resolution at phi 1; by default 1.15."""
    search: Flag = False
    """Find alpha, beta and gamma by training."""
    grid: Annotated[float | None, optional("STEP")] = None
    """Step of alpha and beta in --search; by default 0.2, which makes 9 trainings."""
    base: Annotated[str | None, optional("FILE", name="config")] = None
    """An experiment file, a JSON file or a run folder that says how --search trains; by default NETWORK's."""
    channels: Annotated[int | None, optional("INT")] = None
    """Channels of the first cell before scaling; by default the run's, or the paper's."""
    cells: Annotated[int | None, optional("INT")] = None
    """Cells before scaling, likewise."""
    pixels: Annotated[int | None, optional("INT")] = None
    """Side of the images before scaling; by default the run's, or as published."""
    classes: Annotated[int | None, optional("INT")] = None
    """Classes; by default the run's, or those of the paper."""
    stem: Literal["cifar", "imagenet"] | None = None
    """Stem of a network of cells; by default the run's, or cifar."""
    space: Annotated[str, optional("SPACE")] = ""
    """The space of a genotype, with settings, as in `ofa:size=tiny`; empty: as it says itself, or the run's."""


def run(options: Scale) -> None:
    """`dnas scale`."""
    from dnas.architectures.scaling import Coefficients, scaled_network

    for name, allowed in NUMBERS.items():
        if (value := getattr(options, name)) is not None:
            ranges.check(value, allowed, f"--{name}")
    _refuse_what_does_nothing(options)
    network, space, config = _base(options)
    phi = 1.0 if options.phi is None else options.phi
    if options.published is not None:
        factors = _published(options.published)
        said = f"as {options.published}"
    else:
        found = _searched(options, network, space, config) if options.search else None
        given = {name: value for name in Coefficients._fields if (value := getattr(options, name)) is not None}
        coefficients = found or Coefficients(**given)
        factors = coefficients.at(phi)
        powers = ", ".join(f"{name} {value:.4g}" for name, value in coefficients._asdict().items())
        said = f"by phi {phi:g}: {powers}; alpha beta^2 gamma^2 = {coefficients.growth:.3g}"
    scaled = scaled_network(network, factors, space.chain)
    print(f"Scaled {said}\n  width {factors.width:.4g}, depth {factors.depth:.4g}, resolution {factors.resolution:.4g}")
    _print_costs(network, scaled, space)
    print_text(scaled.genotype)
    if not space.chain:
        print(f"\nTo train it: --retrain.channels {scaled.size.channels} --retrain.cells {scaled.size.cells}")


def _refuse_what_does_nothing(options: Scale) -> None:
    def refuse(beside: str, *names: str) -> None:
        for name in names:
            if getattr(options, name) is not None:
                option = "config" if name == "base" else name
                raise UserError(f"--{option} does nothing {beside}: leave out one of both.")

    if options.published is not None:
        refuse("beside --published", "phi", "alpha", "beta", "gamma")
        if options.search:
            raise UserError("--search finds what --published has: leave out one of both.")
    if options.search:
        refuse("beside --search, which finds it", "alpha", "beta", "gamma")
    elif options.grid is not None or options.base is not None:
        raise UserError("--grid and --config are of --search: set that too, or leave them out.")


def _base(options: Scale) -> "tuple[Network, Space, Config | None]":
    """The network before it is scaled, and the config that comes with it. Errors: `UserError`."""
    from dnas.architectures import blocks, zoo
    from dnas.architectures.genotype import check
    from dnas.architectures.genotype_paste import cleaned
    from dnas.architectures.scaling import Network
    from dnas.architectures.topology import NetworkSize
    from dnas.runs import records
    from dnas.spaces.layers import whole

    genotype, of_run = genotype_of(options.network), is_run(options.network)
    config = config_of(options.network) if of_run else None
    space = space_of(genotype, options.space or choice_of(options.network, genotype))
    if space is None or space.takes != "images":
        raise UserError(f"Compound scaling is of networks of images, and '{genotype.space}' has none here.")
    check(genotype, space)
    if space.own_size:
        raise UserError(f"The decisions of '{space.name}' say all sizes of its networks: none of them can be scaled.")
    if space.chain:
        if options.channels or options.cells or options.stem:
            raise UserError("The blocks of a chain say its widths and its depth: no --channels, --cells or --stem.")
        genotype, space = whole(genotype, space), find.resolve("space", "chain")  # whose blocks are all of a network
    about = records.read_description(options.network, "data.json") if of_run else {}
    side, *_, image_channels = about.get("image") or (0, 3)
    entry = zoo.find(cleaned(options.network))
    stem = options.stem or (config.retrain.stem if config else "cifar")
    large = blocks.reduction(genotype) >= LARGE if space.chain else stem == "imagenet"
    usual = entry.pixels if entry is not None and space.chain else 224 if large else 32
    channels, cells = (config.retrain.channels, config.retrain.cells) if config else paper_size(space, stem)
    classes = options.classes or len(about.get("classes") or ()) or (1000 if large else 10)
    size = NetworkSize(options.cells or cells, options.channels or channels, classes, image_channels, stem)
    return Network(genotype, size, options.pixels or side or usual), space, config


def _published(name: str) -> "Factors":
    """Of efficientnet_b1 to b7, also without the first word. Errors: `UserError` with the names that there are."""
    from dnas.architectures import zoo

    known = zoo.scalings()
    wanted = name.lower().replace("-", "_")
    found = next((key for key in known if wanted in (key, key.removeprefix("efficientnet_"))), None)
    if found is None:
        raise unknown("published scaling", name, [key.removeprefix("efficientnet_") for key in known])
    return known[found]


def _searched(options: Scale, network: "Network", space: "Space", config: Config | None) -> "Coefficients":
    """The best coefficients of the grid. Errors: `UserError`."""
    from dnas.architectures.scaling import grid
    from dnas.evaluators import compound
    from dnas.runs import loop

    plan = config_of(options.base) if options.base is not None else config
    if plan is None:
        raise UserError("--search trains, and a genotype does not say how: name an experiment file by --config.")
    if options.base is not None:
        plan = replace(plan, space=network.genotype.space)
    loop.prepare_process()
    points = list[compound.Point]()
    for point in compound.search(plan, network, space.chain, grid(STEP if options.grid is None else options.grid)):
        points.append(point)
        each = ", ".join(f"{name} {value:.4g}" for name, value in point.coefficients._asdict().items())
        print(f"{each}: {point.network.pixels} pixels, validation accuracy {100 * point.accuracy:.2f} %", flush=True)
    return max(points, key=lambda point: point.accuracy).coefficients


def _print_costs(base: "Network", scaled: "Network", space: "Space") -> None:
    """What both cost, side by side."""
    from dnas.nets.count import count

    chain, costs = space.chain, []
    for network in (base, scaled):
        counts = count(network.genotype, space, network.size, network.pixels)
        costs.append((f"{counts.parameters:,}", f"{counts.multiply_adds:,}"))
    of = [f"{len(n.genotype.cells[0][1].edges)}" if chain else f"{n.size.cells}" for n in (base, scaled)]
    wide = [] if chain else [("channels", f"{base.size.channels}", f"{scaled.size.channels}")]
    rows = [
        *wide,
        ("blocks" if chain else "cells", *of),
        ("resolution", f"{base.pixels}", f"{scaled.pixels}"),
        ("parameters", costs[0][0], costs[1][0]),
        ("multiply-adds", costs[0][1], costs[1][1]),
    ]
    for name, before, after in rows:
        print(f"  {name:<13} {before:>15} -> {after}")
