"""`dnas test`."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from dnas.cli.parsing import optional
from dnas.cli.sources import trained


@dataclass(frozen=True)
class Test:
    """Test the network that a training left: its accuracy, class by class, and which classes it takes for which.

    RUN is the folder of a training (or of a search whose cell was trained in its folder `retrain`).

    Examples:
      dnas test runs/first/retrain
      dnas test runs/first --data image_folder:path=mine,size=8
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """The folder of a training."""
    data: Annotated[str | None, optional("STR")] = None
    """Another data set of the same classes; by default the run's."""
    seed: Annotated[int | None, optional("INT")] = None
    """Which of the run's trainings; by default the first."""


def run(options: Test) -> None:
    """`dnas test`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from dnas.reports import plots

    found = trained(options.run, options.seed)
    measured = found.evaluate(options.data)
    if measured.confusion is None:
        for name, value in measured.measures.items():
            print(f"{name}: {value:.6g}")
        return
    confusion, classes = measured.confusion, found.images.classes
    right, count = int(confusion.trace()), int(confusion.sum())
    print(f"Accuracy: {100 * measured.accuracy:.2f} %, {right:,} of {count:,} test images. Loss: {measured.loss:.4f}.")
    if len(classes) > 5:
        print(f"Among its first five answers: {100 * measured.top5_accuracy:.2f} %.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class", overflow="fold")
    for name in ("images", "right", "found %", "correct %", "most often taken for"):
        table.add_column(name, justify="left" if name.startswith("most") else "right")
    for i, name in enumerate(classes):
        own, taken = int(confusion[i].sum()), int(confusion[:, i].sum())
        others = [(int(n), classes[j]) for j, n in enumerate(confusion[i]) if j != i and n]
        shares = [f"{100 * confusion[i, i] / n:.1f}" if n else "-" for n in (own, taken)]
        table.add_row(
            escape(name), f"{own:,}", f"{confusion[i, i]:,}", *shares, escape(max(others)[1]) if others else "-"
        )
    Console().print(table)
    picture = found.folder / "confusion.png"
    plots.plot_confusion(confusion, classes, picture, f"{found.config.data if options.data is None else options.data}")
    print(f"Open {picture}")
