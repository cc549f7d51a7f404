"""Search, retrain and compare on handwritten digits: `make demo`.

Runs experiments/small_digits.py, trains the found cell and 8 random cells of its space with the same budget, and says
where the found cell stands among them. With --searches 10 as many times, with other seeds of the search, and every cell
that is found stands among the same random ones.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dnas import config as configs
from dnas import find, retrain, search
from dnas.architectures.genotype import random
from dnas.reports import diagram, plots
from dnas.runs import loop

RANDOM_CELLS, SEEDS = 8, 3
PLAIN: dict = {"highlight": False, "markup": False}
EXPERIMENT = Path(__file__).parents[1] / "experiments" / "small_digits.py"


def main() -> int:
    """Leaves runs/demo-...: search/, found/, random_0/ to random_7/ and ranking.png; a number behind the first two
    where there are several."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=1, help="how many demos, which share their random cells")
    searches = parser.parse_args().searches
    if searches < 1:
        parser.error(f"--searches must be at least 1, not {searches}")
    began, console = time.perf_counter(), Console()
    config = configs.load(EXPERIMENT)
    folder = Path("runs") / time.strftime("demo-%Y%m%d-%H%M%S")
    numbers = [""] if searches == 1 else [f"_{number}" for number in range(searches)]
    try:
        cells = {}
        for index, number in enumerate(numbers):
            seeded = replace(config, seed=config.seed + index * config.seeds)  # of two searches the better one counts
            cells[f"found{number}"] = search.run(seeded, folder / f"search{number}").genotype
            console.print("Found:", diagram.text(cells[f"found{number}"]), sep="\n\n", end="\n\n", **PLAIN)
        space = find.resolve("space", config.space)
        cells |= {f"random_{seed}": random(space, seed) for seed in range(RANDOM_CELLS)}
        results = {}
        for done, (name, genotype) in enumerate(cells.items(), 1):
            results[name] = retrain.run(replace(config, seeds=SEEDS), genotype, folder / name, quiet=True)
            accuracy = f"{100 * results[name].score:.2f} %"
            console.print(f"Trained {done} of {len(cells)}: {name}, test accuracy {accuracy}", **PLAIN)
    except loop.Interrupted as stopped:
        console.print(str(stopped))
        return 130
    show(console, results)
    accuracies = {name: 100 * result.score for name, result in results.items()}
    others = [accuracy for name, accuracy in accuracies.items() if name.startswith("random")]
    ranks = []
    for number in numbers:
        found = accuracies[f"found{number}"]
        title = f"{config.data}: each cell's network trained for {config.retrain.epochs} epochs, mean of {SEEDS} seeds"
        plots.plot_ranking(found, others, folder / f"ranking{number}.png", title=title)
        ranks.append(1 + sum(other > found for other in others))
        console.print(
            f"\nThe found cell has rank {ranks[-1]} of {1 + len(others)}: it is better than "
            f"{sum(other < found for other in others)} of {len(others)} random cells, {found:.2f} % against "
            f"{sum(others) / len(others):.2f} % on average (one test image is 0.28 %).",
            **PLAIN,
        )
    if searches > 1:
        top = sum(rank <= 2 for rank in ranks)
        console.print(f"\nRank 1 or 2 in {top} of {searches} demos: {' '.join(map(str, ranks))}.", **PLAIN)
    console.print(
        f"Run folder: {folder}  ({time.perf_counter() - began:.0f} s)\n"
        f"Open {folder / f'search{numbers[0]}' / 'report.html'} for the search, "
        f"{folder / f'ranking{numbers[0]}.png'} for the comparison.",
        **PLAIN,
    )
    return 0


def show(console: Console, results: dict[str, retrain.Result]) -> None:
    """The ranking, best first."""
    table = Table("rank", "cell", "test accuracy [%]", "each seed", "parameters", box=None, pad_edge=False)
    ranked = sorted(results, key=lambda name: -results[name].score)
    for rank, name in enumerate(ranked, 1):
        result = results[name]
        seeds = " ".join(f"{100 * accuracy:.2f}" for accuracy in result.scores)
        row = [str(rank), name, f"{100 * result.score:.2f}", seeds, f"{result.parameters:,}"]
        table.add_row(*row, style="bold" if name.startswith("found") else "")
    console.print("", table, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
