"""`dnas show`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from dnas import config as configs
from dnas import ranges
from dnas.cli.parsing import optional
from dnas.cli.sources import choice_of, genotypes_of, print_text, print_warning, space_of
from dnas.config import RetrainConfig
from dnas.errors import UserError
from dnas.ranges import Range

if TYPE_CHECKING:
    from dnas.architectures.genotype import Genotype
    from dnas.architectures.topology import Space


@dataclass(frozen=True)
class Show:
    """Show a cell or a network: its graph or blocks, and the parameters and multiply-adds of its network.

    CELL is a published cell (`DARTS_V2`) or network (`efficientnet_b3`), a chain of blocks, a DARTS `Genotype(...)`, a
    NAS-Bench-201 string or index, JSON, a file of any number of these, - for standard input, or a run folder (its best
    seed).

    Examples:
      dnas show DARTS_V2 --png cells.png
      dnas show PC_DARTS_image --stem imagenet
      dnas show 1835
      dnas show efficientnet_b3
      dnas show autoformer_tiny
      dnas show "chain(block=[conv3_c16_s2, mb3_e6_c24_s2_se4, mb5_e3_c24, skip, conv1_c128])" --pixels 64
      dnas show "Genotype(normal=[('skip_connect', 0), ...], normal_concat=range(2, 6), reduce=...)"
      dnas show '|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_3x3~2|'
    """

    cell: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CELL")]
    """A genotype or a run folder."""
    png: Annotated[str | None, optional("FILE")] = None
    """Draw the cells into this file."""
    channels: int = 0
    """Channels of the first cell; 0: as in the paper (DARTS 36, on ImageNet 48; NAS-Bench-201 16)."""
    cells: Annotated[int, tyro.conf.arg(aliases=["--layers"])] = 0
    """Cells of the network; 0: as in the paper (DARTS 20, on ImageNet 14; NAS-Bench-201 5 per stage)."""
    stem: Literal["cifar", "imagenet"] = "cifar"
    """Stem, and with it the images: 32x32 pixels and 10 classes, or 224x224 and 1,000."""
    pixels: Annotated[int, Range(0, 4096)] = 0
    """Side of the images; 0: as published, else 32 or 224 by the stem, or by how small a chain makes its images."""
    space: str = ""
    """The space of the genotype, with settings, as in `fbnet:size=cifar`; empty: as it says itself, or the run's."""


def run(options: Show) -> None:
    """`dnas show`."""
    from dnas.architectures.genotype import check
    from dnas.reports import diagram

    png = Path(options.png or "cells.png")
    if png.suffix.lower() != ".png" or not os.path.isdir(png.parent):
        raise UserError(f"--png needs a file name that ends in .png, in a folder that exists, not '{png}'.")
    configs.check(RetrainConfig(channels=options.channels or 1, cells=options.cells or 1))
    genotypes = genotypes_of(options.cell)
    if options.png is not None and len(genotypes) > 1:
        raise UserError(f"--png draws one genotype, here are {len(genotypes)}: give one of them by itself.")
    ranges.check(options.pixels, Show.__annotations__["pixels"], "--pixels")
    spaces = {
        genotype: space_of(genotype, options.space or choice_of(options.cell, genotype)) for genotype in genotypes
    }
    for genotype, space in spaces.items():
        if space is not None:
            check(genotype, space)
    for number, genotype in enumerate(genotypes, 1):
        if len(genotypes) > 1:
            print(f"{'' if number == 1 else chr(10)}Genotype {number} of {len(genotypes)}\n")
        _print_origin(genotype, options.cell)
        print(diagram.text(genotype))
        print_text(genotype)
        print(f"\n{_size(genotype, spaces[genotype], options)}")
        print_warning(genotype, spaces[genotype], options.cells or paper_size(spaces[genotype], options.stem)[1])
    if options.png is not None:
        space = spaces[genotypes[0]]
        diagram.draw(genotypes[0] if space is None else space.pictured(genotypes[0]), png)
        print(f"Wrote {png}")


def _print_origin(genotype: "Genotype", source: str) -> None:
    """Where a genotype was published, if it was."""
    from dnas.architectures import zoo
    from dnas.architectures.genotype_paste import cleaned

    entry = zoo.find(cleaned(source))
    if entry is not None and entry.genotype == genotype:
        print(f"{entry.name}, published in {entry.source}")
        if entry.accuracy is not None:
            images = "ImageNet's validation images" if entry.large else "CIFAR-10's test images"
            print(f"Published accuracy: {entry.accuracy:g} % of {images} ({entry.accuracy_from})")
        print()
    index = zoo.nasbench201_index(genotype)
    if index is not None:
        print(f"Cell {index} of NAS-Bench-201\n")


def paper_size(space: "Space | None", stem: str) -> tuple[int, int]:
    """Channels and cells of the papers' networks."""
    if space is not None and space.stages > 1:
        return 16, 5
    return (48, 14) if stem == "imagenet" else (36, 20)


def _size(genotype: "Genotype", space: "Space | None", options: Show) -> str:
    """One line on the network: parameters and multiply-adds."""
    if space is None:
        return f"The space '{genotype.space}' is not built here, so its network is not counted."
    of_texts = {*space.readable} & {"tokens", "pairs"}
    if space.takes == "features" or (of_texts and not (space.recurrent or space.own_size)):
        return f"A network of '{space.name}' is as large as its data make it, so it is not counted."
    if of_texts:
        return _texts(genotype, space, options)
    if space.chain or space.own_size:
        return _chain(genotype, space, options)
    from dnas.architectures.topology import NetworkSize
    from dnas.nets.count import count

    imagenet, paper = options.stem == "imagenet", paper_size(space, options.stem)
    channels, cells = options.channels or paper[0], options.cells or paper[1]
    lacking = {*(space.order(cells) if space.order else ())} - {*space.cells}
    if lacking:
        return f"It has no {min(lacking)} cell, as a network of {cells} cells has, so that is not counted (--cells)."
    pixels, classes = (224, 1000) if imagenet else (32, 10)
    pixels = options.pixels or pixels
    counts = count(genotype, space, NetworkSize(cells, channels, classes, 3, options.stem), pixels)
    head = f" ({counts.parameters_with_auxiliary:,} with auxiliary head)" if space.has_auxiliary else ""
    number = f"{cells} cells" if space.stages == 1 else f"{space.stages} stages of {cells} cells"
    return (
        f"Network of {number}, {channels} channels, {pixels}x{pixels} images, {classes:,} classes:\n"
        f"  {counts.parameters:,} parameters{head}\n  {counts.multiply_adds:,} multiply-adds"
    )


def _texts(genotype: "Genotype", space: "Space", options: Show) -> str:
    """The same for networks of tokens."""
    from dnas.architectures.topology import NetworkSize
    from dnas.nets.count import of_a_token

    words, width = 10_000, options.channels or 850
    if not space.own_size:
        size = of_a_token(genotype, space, NetworkSize(options.cells or 1, width, words, vocabulary=words))
        of, per = f"width {width}", "a word"
    elif options.channels or options.cells:
        raise UserError(f"The decisions of '{space.name}' say all sizes: leave out --channels and --cells.")
    else:
        classes = 2 if getattr(space.network, "keywords", {}).get("reads") == "encoder" else words
        size = of_a_token(genotype, space, NetworkSize(1, 1, classes, inputs=(TEXT,), vocabulary=words))
        of, per = f"{classes:,} outputs", f"a text of {TEXT} words"
    return (
        f"Network of {of}, {words:,} words:\n"
        f"  {size.parameters:,} parameters\n  {size.multiply_adds:,} multiply-adds {per}"
    )


def _chain(genotype: "Genotype", space: "Space", options: Show) -> str:
    """The same for a chain of blocks, whose blocks are the whole network or stand between those of its space, and for
    layers whose widths are their decisions."""
    from dnas.architectures import blocks, zoo
    from dnas.architectures.genotype import to_text
    from dnas.architectures.genotype_paste import cleaned
    from dnas.architectures.topology import NetworkSize
    from dnas.nets.count import count
    from dnas.spaces.layers import whole

    if options.channels or options.cells:
        raise UserError("The blocks of a chain say its widths and its depth: leave out --channels and --cells.")
    complete = whole(genotype, space) if space.chain else genotype
    entry = zoo.find(cleaned(options.cell))
    published = entry is not None and entry.genotype == genotype
    large = published or options.stem == "imagenet" or space.chain and blocks.reduction(complete) >= LARGE
    usual = entry.pixels if entry is not None and published else 224 if large else 32
    pixels, classes = options.pixels or usual, 1000 if large else 10
    counts = count(genotype, space, NetworkSize(1, 1, classes), pixels)
    around = "" if complete == genotype else f"All of its network:\n{to_text(complete)}\n\n"
    return (
        f"{around}Network of {pixels}x{pixels} images, {classes:,} classes:\n"
        f"  {counts.parameters:,} parameters\n  {counts.multiply_adds:,} multiply-adds"
    )


TEXT = 35  # words, as language models are trained on
LARGE = 32  # by how much networks for ImageNet reduce their images
