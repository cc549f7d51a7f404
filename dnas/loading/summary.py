"""Tables of what a network is made of."""

import io
from collections.abc import Mapping
from typing import Any

from flax import nnx
from flax.traverse_util import flatten_dict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dnas.types import Tree

WIDTH = 120  # letters of a line
DEPTH = 4  # of a part's place in the network


def layers(network: nnx.Module, *args: Any) -> str:
    """Layers: shapes, parameters, floating point operations. args: one input of the network, and what else it takes."""
    return nnx.tabulate(network, *args, depth=3, compute_flops=True, console_kwargs={"width": WIDTH})


def parts(weights: Tree, more: Mapping[str, str]) -> str:
    """Parts with their parameters and the shapes of these, for networks whose calls cannot be followed. more: rows."""
    table, found = Table("part", "parameters", "shapes", box=None), dict[str, list[Any]]()
    for path, leaf in flatten_dict(weights).items():
        found.setdefault("/".join(map(str, path[:DEPTH])), []).append(leaf)
    for name, leaves in found.items():
        shapes = " ".join(dict.fromkeys(str(list(leaf.shape)).replace(" ", "") for leaf in leaves))
        table.add_row(name, f"{sum(leaf.size for leaf in leaves):,}", escape(shapes))
    table.add_row("all", f"{sum(leaf.size for leaves in found.values() for leaf in leaves):,}")
    for name, text in more.items():
        table.add_row(name, "", escape(text))
    written = io.StringIO()
    Console(width=WIDTH, file=written).print(table)
    return written.getvalue()
