"""Search, retrain and compare on handwritten digits: `make demo`.

Runs experiments/small_digits.py, trains the found cell and 8 random cells of its space with the same budget, and says
where the found cell stands among them.
"""

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
EXPERIMENT = Path(__file__).parents[1] / "experiments" / "small_digits.py"


def main() -> int:
    """Leaves runs/demo-...: search/, found/, random_0/ to random_7/ and ranking.png."""
    began, console = time.perf_counter(), Console()
    config = configs.load(EXPERIMENT)
    folder = Path("runs") / time.strftime("demo-%Y%m%d-%H%M%S")
    try:
        found = search.run(config, folder / "search").genotype
        console.print("Found:", diagram.text(found), sep="\n\n", end="\n\n", highlight=False, markup=False)
        space = find.resolve("space", config.space)
        cells = {"found": found} | {f"random_{seed}": random(space, seed) for seed in range(RANDOM_CELLS)}
        results = {}
        for number, (name, genotype) in enumerate(cells.items(), 1):
            results[name] = retrain.run(replace(config, seeds=SEEDS), genotype, folder / name, quiet=True)
            accuracy = f"{100 * results[name].score:.2f} %"
            console.print(f"Trained {number} of {len(cells)}: {name}, test accuracy {accuracy}", highlight=False)
    except loop.Interrupted as stopped:
        console.print(str(stopped))
        return 130
    show(console, results)
    accuracies = {name: 100 * result.score for name, result in results.items()}
    others = [accuracy for name, accuracy in accuracies.items() if name != "found"]
    title = f"{config.data}: each cell's network trained for {config.retrain.epochs} epochs, mean of {SEEDS} seeds"
    plots.plot_ranking(accuracies["found"], others, folder / "ranking.png", title=title)
    rank = 1 + sum(other > accuracies["found"] for other in others)
    better = sum(other < accuracies["found"] for other in others)
    console.print(
        f"\nThe found cell has rank {rank} of {len(cells)}: it is better than {better} of {len(others)} random cells, "
        f"{accuracies['found']:.2f} % against {sum(others) / len(others):.2f} % on average "
        "(one test image is 0.28 %).\n"
        f"Run folder: {folder}  ({time.perf_counter() - began:.0f} s)\n"
        f"Open {folder / 'search' / 'report.html'} for the search, {folder / 'ranking.png'} for the comparison.",
        highlight=False,
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
        table.add_row(*row, style="bold" if name == "found" else "")
    console.print("", table, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
