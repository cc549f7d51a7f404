"""Search, retrain and compare on handwritten digits: `make demo`.

Searches four times by experiments/small_digits.py and takes the best of the four cells by validation accuracy after a
training on three quarters of the train set, as DARTS chooses (Liu et al. 2019, section 3.1). Trains its network and
those of 8 random cells of its space alike, and says where it stands among them. With --searches 10 ten times, of other
seeds of the search, and every cell that is found stands among the same random ones.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dnas import config as configs
from dnas import find, retrain, search
from dnas.architectures.genotype import Genotype, random
from dnas.compare.trainings import validation_score
from dnas.config import Config
from dnas.reports import diagram, plots
from dnas.runs import loop

CANDIDATES, RANDOM_CELLS, SEEDS = 4, 8, 3
PLAIN: dict = {"highlight": False, "markup": False}
EXPERIMENT = Path(__file__).parents[1] / "experiments" / "small_digits.py"


def main() -> int:
    """Leaves runs/demo-...: search/ with candidate_0/ to candidate_3/, found/, random_0/ to random_7/, ranking.png; a
    number behind search and found where there are several."""
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
            seeded = replace(config, seed=config.seed + index * CANDIDATES, seeds=CANDIDATES)
            found = search.run(seeded, folder / f"search{number}").genotypes
            cells[f"found{number}"] = chosen(config, found, folder / f"search{number}", console)
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


def chosen(config: Config, cells: Sequence[Genotype], folder: Path, console: Console) -> Genotype:
    """The best of the cells of several searches by the validation accuracy of networks that are trained with them. That
    of the supernet says nothing here: over 40 searches its correlation with the test accuracy of the cell is 0.17.
    """
    trained, scores = replace(config, seeds=SEEDS, retrain=replace(config.retrain, valid_portion=0.25)), {}
    different = list(dict.fromkeys(cells))
    for number, genotype in enumerate(different):
        place = folder / f"candidate_{number}"
        result = retrain.run(trained, genotype, place, quiet=True)
        scores[genotype] = validation_score(place, result.measure.name)
        accuracy = f"{100 * scores[genotype]:.2f} %"
        console.print(f"Candidate {number + 1} of {len(different)}: validation accuracy {accuracy}", **PLAIN)
    return max(scores, key=scores.__getitem__)


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
    from dnas.errors import run_script

    run_script(main)
