"""TextNAS: layers that choose a convolution, a pool, self-attention or a recurrence, and which layer before they read.

Wang et al., "TextNAS: A Neural Architecture Search Space tailored for Text Representation", AAAI 2020,
arXiv:1912.10729, after microsoft/nni examples/nas/textnas. All layers have the width `channels`, 256 in the paper, and
the outputs of all are combined linearly. Beyond the paper `identity` and `none` are candidates. Departures: every
operation has its norm, where theirs is behind the sum of a layer and would undo `none`; norms, means and dropout see no
padding, where theirs do; there are no skip connections beside the input; the first layers choose their input too, what
is before the embedding being the embedding. Words have no vectors from elsewhere. Sounds are read as well, frame by
frame of their spectra, of which a linear layer stands in the place of embeddings.
"""

from functools import partial
from typing import Annotated, Any, NamedTuple, NoReturn

from dnas.architectures.topology import Cell, Norm, Space
from dnas.errors import UserError
from dnas.nets.sentence_ops import SENTENCE_OPERATIONS
from dnas.nets.sentences import INPUT, OPERATION, Dropout, Network, Supernet
from dnas.ranges import Portion, Range
from dnas.spaces import candidates
from dnas.spaces.layers import sized


class Size(NamedTuple):
    """How many layers there are, and among how many of the last ones each chooses its input."""

    layers: int
    inputs: int


MOST_INPUTS = 16
SIZES = {"published": Size(24, 5), "small": Size(6, 3), "tiny": Size(2, 2)}


def space(
    *,
    size: str = "published",
    layers: Annotated[int, Range(0, 64)] = 0,
    inputs: Annotated[int, Range(0, MOST_INPUTS)] = 0,
    operations: str = "+".join(SENTENCE_OPERATIONS),
    embedded: Portion = 0.5,
    dropout: Portion = 0.5,
) -> Space:
    """size: published, 24 layers that read one of the last 5; small, 6 and 3; tiny, 2 and 2. layers, inputs: others; 0:
    those of the size. operations: the candidates `a+b+c`. embedded, dropout: shares of the channels of embeddings, and
    of what convolutions, attention and recurrences give, that are dropped in training."""
    own = sized("text", SIZES, size)
    count, reach, names = layers or own.layers, inputs or own.inputs, candidates.named(operations, SENTENCE_OPERATIONS)
    edges = tuple((layer, layer - 1) for layer in range(1, count + 1))
    options = {OPERATION: names, INPUT: tuple(str(back + 1) for back in range(reach))}
    rates = Dropout(embedded, dropout)
    return Space(
        name="text",
        cells={
            kind: Cell(inputs=1, nodes=count, edges=edges, operations=(row,) * count) for kind, row in options.items()
        },
        operations=dict.fromkeys((*SENTENCE_OPERATIONS, *map(str, range(1, MOST_INPUTS + 1))), in_no_cell),
        backbone=in_no_cell,
        search_norm=Norm(affine=False, pools=True),
        network_norm=Norm(affine=True, pools=True),
        supernet=partial(Supernet, rates=rates),
        network=partial(Network, rates=rates),
        takes="sequences",
        sizes=("remat",),
        joint=True,
        draws=any(rates),
    )


def in_no_cell(*_: Any, **__: Any) -> NoReturn:
    """In the place of operations and a backbone, which these networks do not have: whoever counts them learns so."""
    raise UserError(
        "The space 'text' has no cells of operations, of which a cost is known: use a method, and settings, that need "
        "no cost."
    )
