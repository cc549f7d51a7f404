"""What the spaces of transformers share: sizes, and tables of decisions, some made once and some for every layer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from dnas.architectures.genotype_data import CellGenotype, Genotype, unreadable
from dnas.architectures.topology import Cell, Norm, Space
from dnas.errors import UserError, unknown
from dnas.nets.transformer import LAYERED, ONCE, WORDS, Network, Supernet
from dnas.nets.transformer_options import Plan
from dnas.nets.transformer_pairs import DECODER, PairNetwork, PairSupernet, looked_at

NUMBERS = {  # decision: least, most
    "width": (1, 65_536),
    "depth": (1, 256),
    "heads": (1, 256),
    "ratio": (0.05, 64),
    "hidden": (1, 1_048_576),
    "cross_heads": (1, 256),
    "memory": (1, 256),
}
Texts = dict[str, str]  # {decision: "a+b+c"}


@dataclass(frozen=True)
class Size:
    """The options `a+b+c` of every decision, and the width of a head, as of `Plan`."""

    widths: str
    depths: str
    heads: str
    ratios: str
    head: int
    feed_forwards: str = "relu+gelu+relu2+gated"
    mixers: str = "attention+convolution+both"
    norms: str = "pre+post"

    def texts(self, *given: str) -> Texts:
        """Of every decision, in the order of `ONCE` and `LAYERED`, the options that are given, or those of the size."""
        own = (self.widths, self.depths, self.heads, self.ratios, self.feed_forwards, self.mixers, self.norms)
        return {kind: text or usual for kind, text, usual in zip((*ONCE, *LAYERED), given, own, strict=True)}


class Options(Mapping[str, Callable[..., Any]]):
    """The options of a space in the place of operations; besides its candidates it knows every number and word that an
    option of a transformer can be, so that networks of other spaces of it can be built."""

    def __init__(self, candidates: Mapping[str, tuple[str, ...]], name: str):
        self.candidates = tuple(dict.fromkeys(option for options in candidates.values() for option in options))
        self.known = {word for words in WORDS.values() for word in words}
        self.name = name

    def __getitem__(self, option: str) -> Callable[..., Any]:
        return partial(in_no_cell, self.name)

    def __contains__(self, option: object) -> bool:
        return str(option) in self.known or str(option).replace(".", "", 1).isdecimal()

    def __iter__(self) -> Iterator[str]:
        return iter(self.candidates)

    def __len__(self) -> int:
        return len(self.candidates)


def space_of(name: str, reads: str, texts: Texts, plan: Callable[..., Plan], *, takes: str) -> Space:
    """The space whose decisions have the candidates of `texts`; a decoder behind an encoder has the same but for those
    with the prefix `decoder_`. reads: "images", or what a text is read by, "encoder", "decoder" or "auto", or "both",
    by which pairs of texts are. plan: (full=, ratio=) -> what all networks share. Errors: `UserError` for candidates
    that there are not."""
    options = {kind: candidates(name, kind, text) for kind, text in texts.items()}
    full = max(map(int, (*options["width"], *options.get(f"{DECODER}width", ()))))
    found = plan(full=full, ratio=max(map(float, options.get("hidden") or options["ratio"])))
    check(name, found, options)
    if reads == "both":
        own = {kind: names for kind, names in options.items() if not kind.startswith(DECODER)}
        options = own | {f"{DECODER}{kind}": names for kind, names in own.items() if kind != "width"} | options
    cells = {kind: _cell(kind, options) for kind in options}
    modules: tuple[Any, Any] = Supernet, Network
    more: dict[str, Any] = {"plan": found, "reads": reads}
    if reads == "both":
        looked_at({kind: cell.operations for kind, cell in cells.items()})
        modules, more = (PairSupernet, PairNetwork), {"plan": found}
    supernet, network = (partial(module, **more) for module in modules)
    return Space(
        name=name,
        cells=cells,
        operations=Options(options, name),
        backbone=partial(in_no_cell, name),
        search_norm=Norm(affine=True, pools=False),
        network_norm=Norm(affine=True, pools=False),
        supernet=supernet,
        network=network,
        takes=takes,
        sizes=("remat",),
        own_size=True,
        joint=True,
        draws=found.dropout > 0,
        used=used,
    )


def candidates(name: str, kind: str, text: str) -> tuple[str, ...]:
    """`"relu+gelu"` -> `("relu", "gelu")`; numbers in ascending order, without zeros that say nothing. Errors:
    `UserError`."""
    names, decision = tuple(part.strip() for part in text.split("+")), kind.removeprefix(DECODER)
    if decision in WORDS:
        for word in names:
            if word not in WORDS[decision]:
                raise unknown(f"{kind} of space '{name}':", word, WORDS[decision])
            if names.count(word) > 1:
                raise UserError(f"The {kind} '{word}' stands twice in '{text}': name each once.")
        return names
    least, most = NUMBERS[decision]
    whole = decision != "ratio"
    read = [part for part in names if part.replace(".", "", 0 if whole else 1).isdecimal()]
    found = [float(part) for part in read]
    if len(found) < len(names) or found != sorted({*found}) or not least <= found[0] <= found[-1] <= most:
        kinds = "whole numbers" if whole else "numbers"
        raise UserError(
            f"The options of {kind} of the space '{name}' are '{text}', expected {kinds} from {least} to {most:,} in "
            "ascending order with + between them, as in 1+2+4."
        )
    return tuple(f"{number:g}" if not whole else str(int(number)) for number in found)


def check(name: str, plan: Plan, options: Mapping[str, tuple[str, ...]]) -> None:
    """Errors: `UserError` for what there is no network of."""
    if plan.kernel % 2 == 0:
        raise UserError(f"The kernel of the space '{name}' is {plan.kernel}, and has no middle: choose an odd number.")
    if plan.head:
        return
    for count in map(int, (*options["heads"], *options.get(f"{DECODER}cross_heads", ()))):
        if plan.together % count:
            raise UserError(
                f"{count} heads of the space '{name}' divide the width {plan.together}, and cannot: choose widths and "
                "heads that fit, or a width 'head' of each."
            )
    if plan.distance and len(options["heads"]) > 1 and {"attention", "both"} & {*options["mixer"]}:
        raise UserError(
            f"Relative positions of '{name}' are as wide as a head, and {' or '.join(options['heads'])} heads divide "
            "one width: choose one number of them, a width 'head' of each, or distance=0."
        )


def used(genotype: Genotype) -> Genotype:
    """A genotype without the decisions on layers that its network does not have. Errors: `UserError` for one that lacks
    some of a layer that it has."""
    found, lengths = [], {kind: len(cell.edges) for kind, cell in genotype.cells}
    for kind, cell in genotype.cells:
        own, prefix = kind.removeprefix(DECODER), DECODER if kind.startswith(DECODER) else ""
        depth = genotype.cell(f"{prefix}depth").edges[0].operation
        count = 1 if own in ONCE else int(depth) if depth.isdecimal() else 0
        if not 0 < count <= len(cell.edges) or (own in ONCE and len(cell.edges) > 1):
            raise unreadable("the genotype", lengths, f"{' and '.join(ONCE)} once, and other decisions for every layer")
        found.append((kind, CellGenotype(cell.edges[:count], cell.concat)))
    return Genotype(genotype.space, tuple(found))


def _cell(kind: str, options: Mapping[str, tuple[str, ...]]) -> Cell:
    """A decision for each layer, or for a network."""
    own, prefix = kind.removeprefix(DECODER), DECODER if kind.startswith(DECODER) else ""
    length = 1 if own in ONCE else max(map(int, options[f"{prefix}depth"]))
    edges, operations = tuple((i + 1, i) for i in range(length)), (options[kind],) * length
    return Cell(inputs=1, nodes=length, edges=edges, operations=operations)


def in_no_cell(name: str, *_: Any, **__: Any) -> NoReturn:
    """In the place of operations and a backbone, which these networks do not have: whoever counts them learns so."""
    raise UserError(
        f"The space '{name}' has no cells of operations, of which a cost is known: use a method, and settings, that "
        "need no cost."
    )
