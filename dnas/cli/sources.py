"""What people name on the command line: configs, runs, genotypes."""

import contextlib
import dataclasses
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dnas import config as configs
from dnas import find
from dnas.config import Config
from dnas.errors import UserError

if TYPE_CHECKING:
    from dnas.architectures.genotype import Genotype
    from dnas.architectures.topology import Space
    from dnas.loading import Found
    from dnas.tasks.task import Score


def genotype_of(source: str) -> "Genotype":
    """The one genotype of a source as in `genotypes_of`. Errors: `UserError`, also where there are several."""
    found = genotypes_of(source)
    if len(found) > 1:
        raise UserError(f"Here is one genotype needed, and there are {len(found)}: give one of them by itself.")
    return found[0]


def genotypes_of(source: str) -> "list[Genotype]":
    """The genotypes of a text, a name or a file, see `genotype.read`; of a run folder, that of its best seed."""
    from dnas.architectures.genotype import read

    found = read(standard_input() if source == "-" else source)
    return [found[best_seed(source, len(found))]] if os.path.isdir(source) else found


def best_seed(folder: str, seeds: int) -> int:
    """Which seed of a run has the best score, of all that its last rows say; the first if they say too little."""
    if seeds == 1:
        return 0
    from dnas.reports import scores
    from dnas.runs import records

    return scores.best_seed(records.read_metrics(folder), scores.measure_of(folder), seeds)


@cache  # it can be read once
def standard_input() -> str:
    from dnas.architectures.genotype import decoded

    return decoded(sys.stdin.buffer.read())


def print_text(genotype: "Genotype") -> None:
    """A genotype as one copies it, where it can be written so."""
    from dnas.architectures.genotype import to_text

    with contextlib.suppress(UserError):  # some cells have no text form
        print(f"\n{to_text(genotype)}")


def space_of(genotype: "Genotype", choice: str = "") -> "Space | None":
    """The space of a genotype without the kinds of cells that a small supernet did not have; None if it is not here.
    choice: the space and its settings; empty: that which the genotype names."""
    if not choice and genotype.space not in find.described("space"):
        return None
    space = find.resolve("space", choice or genotype.space)
    known = {kind: space.cells[kind] for kind, _ in genotype.cells if kind in space.cells}
    return dataclasses.replace(space, cells=known) if known else space


def choice_of(source: str, genotype: "Genotype") -> str:
    """The space, with its settings, of the genotype of a source: a run's own, or that of a published network; empty:
    that which the genotype names."""
    from dnas.architectures import zoo
    from dnas.architectures.genotype_paste import cleaned

    if is_run(source):
        return config_of(source).space
    entry = zoo.find(cleaned(source))
    return entry.space if entry is not None and entry.genotype == genotype else ""


def print_warning(genotype: "Genotype", space: "Space | None", cells: int) -> None:
    """What is cut off in a network of so many cells, if anything is."""
    from dnas.architectures import flow

    if said := flow.warning(genotype, space, cells):
        print(f"\n{said}")


def base_config(source: str | None, resumed: str | None) -> Config | None:
    """The config whose fields are the defaults: of the source that is named, else of the run that goes on."""
    if resumed is not None and not os.environ.get("DNAS_COORDINATOR"):  # one host would do it
        from dnas.runs import records

        records.put_back(resumed)  # before anything of it is read
    if source is not None:
        return config_of(source)
    if resumed is None:
        return None
    if not is_run(resumed):
        raise UserError(f"{resumed} holds no run to go on with: check --out, or leave out --resume.")
    return config_of(resumed)


def started(config: Config, source: str | None) -> Config:
    """The config with --from."""
    return config if source is None else dataclasses.replace(config, weights_from=source)


def config_of(source: str) -> Config:
    """The config of an experiment, a file or a run folder, whose checkpoint knows what it should be."""
    if not is_run(source):
        return configs.load(source)
    from dnas.runs import records

    return records.config_of(source)


def is_run(folder: str) -> bool:
    """Whether a folder is that of a run."""
    return os.path.exists(os.path.join(folder, "config.json"))  # of a pathlib.Path, this raises for odd names


def trained(run: str, seed: int | None) -> "Found":
    """What a training left; of a search's folder, that of its cell. Errors: `UserError` where that is not trained."""
    from dnas.loading import Found, is_search, load

    inner = os.path.join(run, "retrain")
    if is_run(run) and is_search(run):
        if not is_run(inner):
            raise UserError(
                f"{run} is the folder of a search, and its cell is not trained: run dnas retrain {run}, or use the "
                "supernet from Python, dnas.load."
            )
        run = inner
    found = load(run, seed)
    assert isinstance(found, Found)
    return found


def print_grid(folder: Path, score: "Score") -> None:
    """What the values of a run's grid are worth, as its file says."""
    import json

    from rich.console import Console
    from rich.table import Table

    known = json.loads((folder / "grid.json").read_text())["points"]
    shown = Table(box=None, pad_edge=False, header_style="bold")
    paths = [name for name in known[0] if "." in name]
    some = any(row["diverged"] for row in known)
    for name in (*paths, f"mean {score.name}", "seeds", *["diverged"] * some):
        shown.add_column(name, justify="right", overflow="fold")
    for row in known:
        spread = f" ± {score.shown(row[s])}" if (s := f"std_{score.name}") in row else ""
        mean = "-" if row[f"mean_{score.name}"] is None else score.shown(row[f"mean_{score.name}"])
        lost = [str(row["diverged"])] * some
        shown.add_row(*(f"{row[path]:.6g}" for path in paths), mean + spread, str(row["seeds"]), *lost)
    print("\nThe grid, the best first:")
    Console().print(shown)
