"""What a search draws and writes at its end, for people."""

from dnas.architectures.topology import Space
from dnas.reports import diagram, grids
from dnas.reports import page as report
from dnas.search import tradeoff
from dnas.search.result import Result


def drawn(result: Result, space: Space, known: tradeoff.Tradeoff | None) -> None:
    """The cells of every seed, what its penalty and its grid have come to, and the page of the run."""
    config, folder = result.config, result.folder
    for seed, genotype in enumerate(result.genotypes, config.seed):
        if seed not in result.diverged:
            name = "cells.png" if config.seeds == 1 else f"cells_seed_{seed}.png"
            diagram.draw(space.pictured(genotype), folder / name)
    if known is not None:
        tradeoff.write(folder, known, result)
    if config.grid:
        grids.write(folder, config, "search", result.scores, result.score, result.genotypes)
    report.page(folder)
