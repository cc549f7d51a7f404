"""Layers for tables: width, activation, skip, normalisation and dropout of every layer of a network of features.

No paper; the candidates are those of multilayer perceptrons and residual networks as in Gorishniy et al. 2021,
"Revisiting Deep Learning Models for Tabular Data", arXiv:2106.11959. Every decision is a table of its own, written as a
chain of edges, one a layer. The depth of a network is the setting `layers`; `cells` of a config counts nothing here.
"""

from functools import partial
from typing import Annotated, Any, NoReturn

from dnas.architectures.topology import Cell, Norm, Space
from dnas.errors import UserError, unknown
from dnas.nets.tabular import OPTIONS, Network, Supernet
from dnas.ranges import Range


def space(
    *,
    layers: Annotated[int, Range(1, 64)] = 3,
    widths: str = "0.25+0.5+1+2",
    activations: str = "relu+silu+gelu+tanh",
    skips: str = "none+identity+projection",
    norms: str = "none+batch+layer",
    dropouts: str = "0+0.1+0.3+0.5",
) -> Space:
    """The space with `layers` layers and the candidates `a+b+c` for each decision of each layer. widths: times the
    channels of the network. skips: what is added to the output of a layer, nothing, its input (cut, or filled with
    zeros) or a projection of its input."""
    written = {"width": widths, "activation": activations, "skip": skips, "norm": norms, "dropout": dropouts}
    candidates = {decision: named(decision, text) for decision, text in written.items()}
    largest = max(map(float, candidates["width"]))
    edges = tuple((layer, layer - 1) for layer in range(1, layers + 1))
    return Space(
        name="tabular",
        cells={
            decision: Cell(inputs=1, nodes=layers, edges=edges, operations=(names,) * layers)
            for decision, names in candidates.items()
        },
        operations=dict.fromkeys((name for names in OPTIONS.values() for name in names), in_no_cell),
        backbone=in_no_cell,
        search_norm=Norm(affine=False, pools=False),
        network_norm=Norm(affine=True, pools=False),
        supernet=partial(Supernet, largest=largest),
        network=partial(Network, largest=largest),
        takes="features",
        sizes=(),
        joint=True,
        draws=any(map(float, candidates["dropout"])),
    )


def named(decision: str, text: str) -> tuple[str, ...]:
    """`"none+batch"` -> `("none", "batch")`, the columns of a table. Errors: `UserError` for an unknown or repeated
    name."""
    names = tuple(name.strip() for name in text.split("+"))
    for name in names:
        if name not in OPTIONS[decision]:
            raise unknown(f"{decision} of space 'tabular':", name, OPTIONS[decision])
        if names.count(name) > 1:
            raise UserError(f"The {decision} '{name}' stands twice in '{text}': name each once.")
    return names


def in_no_cell(*_: Any, **__: Any) -> NoReturn:
    """In the place of operations and a backbone, which these networks do not have: whoever counts them learns so."""
    raise UserError(
        "The space 'tabular' has no cells of operations, of which a cost is known: use a method, and settings, that "
        "need no cost."
    )
