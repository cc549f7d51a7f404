"""`dnas zoo`."""

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from dnas.cli.parsing import Flag, optional
from dnas.errors import UserError, printable, unknown

if TYPE_CHECKING:
    from dnas.reports.zoo import Entry

COSTS = ("parameters", "multiply_adds")


@dataclass(frozen=True)
class Zoo:
    """Browse published cells and networks, and those that you found: costs, scores, and pictures on a page.

    NAME is a published cell or network, or a pattern in quotes, as a shell reads it; FOLDER a run, or what has runs
    below it. Without any, all that is published is listed. A cell that several runs have is listed once, with the mean
    of its test scores.

    Costs are exact. Those of a published cell are of its network for CIFAR-10 (36 channels, 20 cells, no auxiliary
    head), those of a published network its own, those of a found one of the network that its run trains; of other
    things than images only parameters are known, once it is trained. Published accuracies are as their authors print
    them, of CIFAR-10's test images or ImageNet's validation images, each with a training of its own, so that small
    differences say little; where each was read, --json, --page and dnas show say.

    Examples:
      dnas zoo
      dnas zoo runs/
      dnas zoo runs/ "*darts*" --sort multiply_adds
      dnas zoo --data imagenet --budget "multiply_adds<4e8" --sort score
      dnas zoo runs/ "*" --page zoo.html
    """

    what: Annotated[tyro.conf.Positional[tuple[str, ...]], optional("[NAME|FOLDER ...]")] = ()
    """Published names, patterns, and folders of runs."""
    space: Annotated[str | None, optional("NAME")] = None
    """Only cells and networks of this space, as darts, chain or rnn."""
    data: Annotated[str | None, optional("NAME")] = None
    """Only those whose costs and scores are of this data set."""
    budget: Annotated[str | None, optional("COST<MOST,...")] = None
    """Only those that cost at most so much, as in "parameters<5e6,multiply_adds<6e8"."""
    sort: Literal["as_published", "name", "parameters", "multiply_adds", "score", "newest"] = "as_published"
    """The order: costs from the least, scores from the best; what has none comes last."""
    page: Annotated[str | None, optional("FILE")] = None
    """Write a page with a picture of each into this file, .html."""
    json: Flag = False
    """A JSON object for each."""


def run(options: Zoo) -> None:
    """`dnas zoo`."""
    page = options.page
    if page is not None and (not page.endswith(".html") or not os.path.isdir(os.path.dirname(page) or ".")):
        raise UserError(f"--page needs a file name that ends in .html, in a folder that exists, not '{page}'.")
    limits = _limits(options.budget)
    entries = _chosen(_named(options.what), options, limits)
    entries = _sorted(entries, options.sort)
    if options.json:
        for entry in entries:
            print(json.dumps(_described(entry)))
    else:
        _print(entries)
    if page is not None:
        from dnas.reports import zoo_page

        print(f"Open {zoo_page.page(entries, page)}")


def _named(what: tuple[str, ...]) -> "list[Entry]":
    """Own ones first, as they are named."""
    from dnas.reports import zoo

    folders = [name for name in what if os.path.isdir(name)]
    patterns = [name for name in what if name not in folders]
    found = [entry for folder in folders for entry in zoo.found(folder)]
    return found + (zoo.published(patterns) if patterns else [] if folders else zoo.published())


def _limits(budget: str | None) -> dict[str, float]:
    if budget is None:
        return {}
    from dnas.costs.budget import parse  # jax takes a second

    limits = parse(budget)
    for limit in limits:
        if limit.cost not in COSTS or limit.unit:
            raise UserError(f"dnas zoo knows {' and '.join(COSTS)} of everything, not '{limit.cost}': leave it out.")
    return {limit.cost: limit.most for limit in limits}


def _chosen(entries: "list[Entry]", options: Zoo, limits: dict[str, float]) -> "list[Entry]":
    """Those that options allow. Errors: `UserError` where none is left, with what there would have been."""
    for option, name in (("space", options.space), ("data", options.data)):
        if name is not None:
            known = {_first(getattr(entry, option)) for entry in entries}
            if name not in known:
                raise unknown(f"{option} of what is listed:", name, known)
            entries = [entry for entry in entries if _first(getattr(entry, option)) == name]
    fitting = [e for e in entries if all(_within(getattr(e, cost), most) for cost, most in limits.items())]
    if not fitting:
        raise UserError(f"None of {len(entries)} is within '{options.budget}': give more of it.")
    return fitting


def _first(choice: str) -> str:
    """The name of a choice, without its settings."""
    return choice.partition(":")[0]


def _repository(source: str) -> str:
    """Where something was published, without the place in there: `quark0+darts`, or an arXiv number."""
    about = source.partition(",")[0]
    return about if about.startswith("arXiv:") else about.partition(":")[0]


def _within(cost: int | None, most: float) -> bool:
    """What is not known is not within."""
    return cost is not None and cost <= most


def _sorted(entries: "list[Entry]", by: str) -> "list[Entry]":
    match by:
        case "as_published":
            return entries
        case "name":
            return sorted(entries, key=lambda e: e.name.lower())
        case "newest":
            return sorted(entries, key=lambda e: e.began, reverse=True)
        case "score":
            return sorted(entries, key=lambda e: (e.score is None, -e.measure.sign * (e.score or 0)))
    return sorted(entries, key=lambda e: (getattr(e, by) is None, getattr(e, by)))


def _described(entry: "Entry") -> dict[str, Any]:
    from dnas.architectures.genotype_data import to_json

    about = {name: getattr(entry, name) for name in ("name", "space", "data", *COSTS, "score")}
    about |= {"measure": entry.measure.name, "source": entry.source, "score_from": entry.score_from or None}
    about |= {"began": entry.began or None}
    return about | {"genotype": to_json(entry.genotype)}


def _print(entries: "list[Entry]") -> None:
    """A line for each, however long: of a pipe, one that grep finds."""
    rows = [["name", "space", "data", "parameters", "multiply-adds", "score", "from"]]
    for entry in entries:
        costs = (f"{cost:,}" if cost is not None else "-" for cost in (entry.parameters, entry.multiply_adds))
        origin = f"{entry.source}, {entry.began[:10]}" if entry.folder else _repository(entry.source)
        words = printable(entry.name), _first(entry.space), _first(entry.data)
        rows.append([*words, *costs, entry.said, printable(origin)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (w.rjust(n) if 2 < i < 6 else w.ljust(n) for i, (w, n) in enumerate(zip(row, widths, strict=True)))
        print("  ".join(cells).rstrip())
    missing = sum(entry.parameters is None for entry in entries)
    number = f"{len(entries)} architecture{'s' * (len(entries) > 1)}"
    print(f"\n{number}" + (f"; the costs of {missing} are not known" if missing else "") + ".")
