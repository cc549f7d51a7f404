"""What a run found and how good it is, in a sentence or two."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from dnas import grid
from dnas.architectures.genotype import Genotype
from dnas.architectures.genotype_data import decisions
from dnas.config import Config
from dnas.reports import scores
from dnas.reports.marks import label
from dnas.reports.plots import Measure, Rows
from dnas.runs import diverged as gone_from

MOST = 4  # kinds of operations, or decisions, that a sentence names
CELLS = 15_625  # of NAS-Bench-201


def found(config: Config, rows: Rows, measure: Measure, genotype: Genotype | None, data: Mapping[str, Any]) -> str:
    """Of a search or a training. genotype: that of the best seed; None where there is none yet."""
    if not rows:
        return "Nothing has been measured yet."
    if scores.is_training(rows):
        return _trained(config, rows, measure, data)
    return _searched(config, rows, measure, genotype)


def _searched(config: Config, rows: Rows, measure: Measure, genotype: Genotype | None) -> str:
    epochs = scores.last_epoch(rows)
    after = "" if epochs is None else f" for {_counted(epochs, 'epoch')}"
    seeds = f"with {config.seeds} seeds" if config.seeds > 1 else f"with seed {config.seed}"
    what = "" if genotype is None else f" and found {described(genotype)}"
    parts = [
        f"{named(config.method)} searched the space {named(config.space)} on {named(config.data)}{after} {seeds}{what}."
    ]
    if best := scores.best(rows, measure):
        of = "Their supernets reached" if config.seeds > 1 else "Its supernet reached"
        parts.append(f"{of} {_shown(best, measure)} on validation data.")
    if truth := scores.last(rows, "truth_cifar10"):
        text = f"NAS-Bench-201 knows the last cell: {scores.summary(truth)} % test accuracy on CIFAR-10"
        ranks = scores.last(rows, "truth_rank")
        place = f", place {ranks[0]:,.0f} of {CELLS:,}" if len(ranks) == 1 else ""
        parts.append(f"{text}{place}.")
    return " ".join(parts)


def _trained(config: Config, rows: Rows, measure: Measure, data: Mapping[str, Any]) -> str:
    size = scores.summary(scores.last(rows, "parameters"), 1, "{:,.0f}")
    score = _shown(scores.last(rows, f"test_{measure.name}"), measure)
    count = data.get("test")
    examples = f"the {count:,} test examples" if isinstance(count, int) else "the test part"
    seeds = f", over {config.seeds} trainings," if config.seeds > 1 else ""
    after = f" after {_counted(scores.last_epoch(rows) or 0, 'epoch')} of training"
    return f"A network of {size} parameters has {score} on {examples} of {named(config.data)}{seeds}{after}."


def diverged(config: Config, rows: Rows) -> str:
    """Which seeds did, and when; empty for none."""
    gone, said = gone_from.of_rows(rows), list[str]()
    for seed, step in gone.items():
        points = ({path: row[path] for path in grid.axes(config)} for row in rows if (row.get("seed")) == seed)
        point = grid.text(next(points, {}))
        said.append(f"seed {seed} at step {step}" + (f" ({point})" if point else ""))
    if not said:
        return ""
    return f"Diverged, their loss NaN or infinite: {_listed(said)}. They count nowhere on this page."


def named(choice: str) -> str:
    """A choice without its settings."""
    return choice.partition(":")[0]


def described(genotype: Genotype) -> str:
    """`a cell of 3 skip and 2 sep 3x3`, or the decisions of a network."""
    if layers := decisions(genotype):
        first = [f"{name.replace('_', ' ')} {option}" for name, option in layers[0].items() if len(layers) == 1]
        return f"a network of {_counted(len(layers), 'layer')}" + (f": {', '.join(first[:MOST])}" if first else "")
    counts = Counter(label(edge.operation) for _, cell in genotype.cells for edge in cell.edges)
    parts = [f"{count} \N{MULTIPLICATION SIGN} {name}" for name, count in counts.most_common(MOST)]
    others = sum(counts.values()) - sum(count for _, count in counts.most_common(MOST))
    parts += [f"{others} others"] if others else []
    cells = "a cell" if len(genotype.cells) == 1 else f"{_counted(len(genotype.cells), 'cell')}"
    return f"{cells} of {_listed(parts)}" if parts else cells


def state_of_epochs(rows: Rows, epochs: int) -> str:
    """`epoch 12 of 50`."""
    return f"epoch {scores.last_epoch(rows) or 0} of {epochs}"


def _shown(values: list[float], measure: Measure) -> str:
    text = scores.summary(values, measure.scale)
    return f"{text} % accuracy" if measure.name == "accuracy" else f"a {measure.name.replace('_', ' ')} of {text}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("s" if count != 1 else "")


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
