"""Model cards: what an exported network is, by the files of its run; Markdown that no name can break.

After Mitchell et al. 2019, arXiv:1810.03993: data, protocol, measures by class, costs, how it was found.
"""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import jax
import jinja2
import numpy as np

from dnas import __version__, find
from dnas import config as configs
from dnas.architectures.genotype import to_json
from dnas.data._files import Location
from dnas.errors import UserError, printable
from dnas.find import parse_choice
from dnas.loading import Found, is_search
from dnas.runs import records
from dnas.tasks.language import Language
from dnas.tasks.tabular import Rows
from dnas.tasks.translation import Translation

# what Markdown, and what GitHub makes links and formulas of
SPECIAL = re.compile(r"[\\`*_\[\]#|~@$]|:(?=//)|(?<=www)\.", re.IGNORECASE)
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def text(value: object) -> str:
    """Any text as words of a line of Markdown, which shows it and does nothing else."""
    marked = SPECIAL.sub(lambda found: f"\\{found[0]}", printable(str(value)))
    return "".join(ENTITIES.get(letter, letter) for letter in marked)


def block(value: object) -> str:
    """Any text as a block of code, whose lines stay lines."""
    lines = [printable(line) for line in str(value).split("\n")]
    longest = max(map(len, re.findall("`+", "\n".join(lines))), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence, *lines, fence])


def card(found: Found, about: dict[str, Any]) -> str:
    """The card. about: what the format knows, see card.md.jinja."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("dnas.exporting", "."), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    templates.filters |= {"text": text, "block": block}
    return templates.get_template("card.md.jinja").render(known_of(found) | about)


def known_of(found: Found) -> dict[str, Any]:
    """What the run says of its network."""
    config, description = found.config, found.description
    measured, measures, confusion = _measured(found)
    return {
        "version": __version__,
        "purpose": _purpose(found),
        "data": {"name": description.get("name") or config.data, "note": description.get("note", "")},
        "config": config,
        "counts": ", ".join(
            f"{description[part]:,} {part}" for part in ("train", "valid", "test") if part in description
        ),
        "licence": _licence(config.data) or "not known to this library; ask whoever gave them",
        "search": _search(found.folder),
        "seed": found.seed,
        "genotype": json.dumps(to_json(found.genotype)),
        "training": json.dumps(configs.to_dict(config)["retrain"], indent=1),
        "environment": records.read_description(found.folder, "environment.json") if found.folder.is_dir() else {},
        "measured": measured,
        "measures": measures,
        "classes": [] if confusion is None else _by_class(found.classes, confusion),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(found.weights)),
    }


def _purpose(found: Found) -> str:
    if found.classes:
        return f"It tells {len(found.classes)} classes of {found.reads} apart"
    if isinstance(found.task, Rows):
        return f"It predicts {found.task.table.target}, a number, of rows of a table"
    if isinstance(found.task, Language):
        return f"It says what follows in a text, of {found.task.shape.outputs:,} {found.task.text.unit}"
    if isinstance(found.task, Translation):
        return f"It translates texts, by a beam search that keeps {found.task.beam} at a time"
    return f"It was trained on the task {found.task.name}"


def _licence(choice: str) -> str:
    name = parse_choice(choice)[0]
    if name not in find.described("data set"):
        return ""
    location: Location = importlib.import_module(f"{find.PACKAGES['data set']}.{name}").locate()
    return location.licence


def _search(folder: Path) -> str:
    """How the architecture was found, where the run lies in the folder of its search."""
    if not records.holds_run(folder.parent) or not is_search(folder.parent):
        return "The architecture was given to the training, in whose folder is no search"
    config = records.config_of(folder.parent)
    command = records.read_description(folder.parent, "environment.json").get("command") or "no command"
    seeds = f"seeds {config.seed} to {config.seed + config.seeds - 1}" if config.seeds > 1 else f"seed {config.seed}"
    return (
        f"A search by {config.method} in the space {config.space} on {config.data}, {config.search.epochs} epochs, "
        f"{seeds} ({command})"
    )


def _measured(found: Found) -> tuple[str, dict[str, float], np.ndarray | None]:
    """What the network is like on the test part, measured now, or as the run noted it."""
    try:
        here = found.evaluate()
    except UserError as error:
        rows = [row for row in records.read_metrics(found.folder) if row["seed"] == found.seed]
        if not rows:
            return f"Not measured, as the data cannot be read now ({error})", {}, None
        last = {name.removeprefix("test_"): value for name, value in rows[-1].items() if name.startswith("test_")}
        return f"The test part as the run measured it, as the data cannot be read now ({error})", last, None
    return "Of the test part, measured when this was exported", dict(here.measures), here.confusion


def _by_class(classes: tuple[str, ...], confusion: np.ndarray) -> list[dict[str, Any]]:
    """found: of a class, how much is taken for it; correct: of what is taken for it, how much is of it."""
    rows = []
    for i, name in enumerate(classes):
        right, own, taken = (int(number) for number in (confusion[i, i], confusion[i].sum(), confusion[:, i].sum()))
        shares = [f"{100 * right / count:.1f}" if count else "-" for count in (own, taken)]
        rows.append({"name": name, "count": own, "right": right, "found": shares[0], "correct": shares[1]})
    return rows
