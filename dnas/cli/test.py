"""`dnas test`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dnas.cli.networks import Trained, examined, network_of

if TYPE_CHECKING:
    from dnas.loading.found import Found
    from dnas.loading.loaded import Evaluation


@dataclass(frozen=True)
class Test(Trained):
    """Test a network: its accuracy, class by class, and which it takes for which; or errors, perplexities, BLEU.

    Of translations BLEU and chrF are said with their signatures. The page of the run shows what was taken for what,
    where there are classes, and the worst mistakes: also numbers that are far off, and translations. RUN is the folder
    of a training (or of a search whose cell was trained in its folder `retrain`); with --weights it is a genotype,
    whose published PyTorch weights are tested.

    Examples:
      dnas test runs/first/retrain
      dnas test runs/first --data image_folder:path=mine,size=8
      dnas test DARTS_V2 --weights cifar10_model.pt
    """


def run(options: Test) -> None:
    """`dnas test`."""
    found = network_of(options)
    measured = found.evaluate(options.data if options.weights is None else None)
    page = examined(found, measured) if options.data is None and options.weights is None else None
    if measured.confusion is not None:
        return _print_classes(found, measured, options.data or found.config.data, page)
    if measured.signatures:
        _print_translations(measured)
    elif "perplexity" in measured.measures:
        for part, here in (("Validation", found.evaluate(part="valid")), ("Test", measured)):
            bits = here.measures.get("bits_per_character")
            more = "" if bits is None else f" Bits per character: {bits:.4g}."
            print(f"{part} perplexity: {here.measures['perplexity']:.6g}.{more} Loss: {here.loss:.6g}.")
    else:
        print(f"Test {', '.join(f'{name} {value:.6g}' for name, value in measured.measures.items())}.")
    if page is not None:
        print(f"Open {page}")


def _print_translations(measured: "Evaluation") -> None:
    measures = measured.measures
    print(
        f"Test perplexity: {measures['perplexity']:.6g}. Loss: {measured.loss:.6g}. Most likely tokens: "
        f"{100 * measured.accuracy:.2f} % right."
    )
    for name, title in (("bleu", "BLEU"), ("chrf", "chrF")):
        print(f"{title}: {measures[name]:.2f} ({measured.signatures[name]}).")


def _print_classes(found: "Found", measured: "Evaluation", data: str, page: Path | None) -> None:
    """Accuracy, class by class, and a picture of the confusion."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from dnas.loading.mistakes import KINDS
    from dnas.reports import plots

    assert measured.confusion is not None
    confusion, classes, what = measured.confusion, found.classes, KINDS[found.reads]
    right, count = int(confusion.trace()), int(confusion.sum())
    alike = "" if abs(measured.accuracy - right / count) < 1e-6 else " (every class counts alike)"
    print(
        f"Accuracy: {100 * measured.accuracy:.2f} %{alike}, {right:,} of {count:,} test {what}. "
        f"Loss: {measured.loss:.4f}."
    )
    if len(classes) > 5:
        print(f"Among its first five answers: {100 * measured.top5_accuracy:.2f} %.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class", overflow="fold")
    for name in (what, "right", "found %", "correct %", "most often taken for"):
        table.add_column(name, justify="left" if name.startswith("most") else "right")
    for i, name in enumerate(classes):
        own, taken = int(confusion[i].sum()), int(confusion[:, i].sum())
        others = [(int(n), classes[j]) for j, n in enumerate(confusion[i]) if j != i and n]
        shares = [f"{100 * confusion[i, i] / n:.1f}" if n else "-" for n in (own, taken)]
        table.add_row(
            escape(name), f"{own:,}", f"{confusion[i, i]:,}", *shares, escape(max(others)[1]) if others else "-"
        )
    Console().print(table)
    if page is not None:
        print(f"Open {page}")
    picture = found.folder / "confusion.png" if found.folder.is_dir() else found.folder.with_suffix(".confusion.png")
    plots.plot_confusion(confusion, classes, Path(picture), data)
    print(f"Open {picture}")
