"""Transformers of texts, of which widths, depth, heads, feed-forward, mixer and norm are decisions, layer by layer.

Weights are entangled: a smaller option has the first entries of the largest (Wang et al. 2020, "HAT: Hardware-Aware
Transformers for Efficient Natural Language Processing", ACL 2020, arXiv:2005.14187), and a mix weighs what each option
has, so that gradient methods apply as well (TangleNAS, arXiv:2312.10440). Kinds of feed-forward layers are those of
Primer (So et al. 2021, arXiv:2109.08668) and of Shazeer 2020. An encoder reads a text whole, with token 0 for padding,
or the spectrum of a sound frame by frame, and says one thing of it; a decoder is a language model. Networks are in
`nets/transformer.py`.
"""

from functools import partial
from typing import Annotated

from dnas.architectures.topology import Space
from dnas.errors import unknown
from dnas.nets.transformer_options import Plan
from dnas.ranges import Portion, Range
from dnas.spaces import layers
from dnas.spaces.transformer_tables import Size, space_of

TAKES = {"auto": "sequences", "encoder": "sequences", "decoder": "tokens", "both": "pairs"}


SIZES = {
    "small": Size("64+96+128", "1+2+3", "1+2+4", "1+2+4", head=32),
    "base": Size("256+384+512", "4+5+6", "2+4+8", "1+2+4", head=64),
    "tiny": Size("8+12", "1+2", "1+2", "1+2", head=4),
}


def space(
    *,
    reads: str = "auto",
    size: str = "small",
    widths: str = "",
    depths: str = "",
    heads: str = "",
    ratios: str = "",
    feed_forwards: str = "",
    mixers: str = "",
    norms: str = "",
    head: Annotated[int, Range(-1, 1024)] = -1,
    distance: Annotated[int, Range(0, 1024)] = 8,
    rescaled: bool = False,
    kernel: Annotated[int, Range(1, 31)] = 3,
    dropout: Portion = 0.1,
) -> Space:
    """`reads`: encoder, for tasks that say one thing of a text or a sound; decoder, for language; auto: which of these
    the task needs; both, for pairs of texts, with decisions for each and one width.
    `size`: small, base or tiny. The options `a+b+c` of each decision; empty: those of the size. head: width of a head,
    -1: that of the size; 0: all heads together are as wide as the widest embedding, however many they are. distance:
    largest relative position that is told apart; 0: none is. rescaled: what an option has less of is multiplied by as
    much (AutoFormer's `scale`). kernel: tokens that a convolution reads. dropout: of the embedding and of what every
    part adds."""
    if reads not in TAKES:
        raise unknown("setting reads of space 'transformer':", reads, TAKES)
    own: Size = layers.sized("transformer", SIZES, size)
    texts = own.texts(widths, depths, heads, ratios, feed_forwards, mixers, norms)
    plan = partial(
        Plan,
        head=own.head if head < 0 else head,
        distance=distance,
        rescaled=rescaled,
        kernel=kernel,
        dropout=dropout,
    )
    return space_of("transformer", reads, texts, plan, takes=TAKES[reads])
