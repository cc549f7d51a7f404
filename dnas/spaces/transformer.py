"""Transformers of texts, of which widths, depth, heads, feed-forward, mixer and norm are decisions, layer by layer.

Weights are entangled: a smaller option has the first entries of the largest, and a mix weighs what each option has, so
that gradient methods apply as well (TangleNAS, arXiv:2312.10440). Kinds of feed-forward layers are those of Primer (So
et al. 2021, arXiv:2109.08668) and of Shazeer 2020. An encoder reads a text whole, with token 0 for padding, or the
spectrum of a sound frame by frame, and says one thing of it; a decoder is a language model. Networks are in
`nets/transformer.py`, and those of an encoder and a decoder in `nets/transformer_pairs.py`.

`size=hat_iwslt` and `hat_wmt` are the spaces of HAT (Wang et al. 2020, "HAT: Hardware-Aware Transformers for Efficient
Natural Language Processing", ACL 2020, arXiv:2005.14187; mit-han-lab/hardware-aware-transformers,
`supertransformer/space1.yml` of IWSLT'14 and `space0.yml` of WMT'14), with weights of all widths 512 wide between
embedding and heads. The original scales embeddings by the root of the width that is chosen, here by that of the widest,
and drops less where it is narrow. `hat_tiny` is as small as tests need it.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from dnas.architectures.topology import Space
from dnas.errors import UserError, unknown
from dnas.nets.transformer_options import Plan
from dnas.nets.transformer_pairs import DECODER
from dnas.ranges import Portion, Range
from dnas.spaces import layers
from dnas.spaces.transformer_tables import Size, Texts, space_of

TAKES = {"auto": "sequences", "encoder": "sequences", "decoder": "tokens", "both": "pairs"}


@dataclass(frozen=True, kw_only=True)
class TextSize(Size):
    """With numbers of hidden values in the place of ratios, and what a decoder behind an encoder decides by itself,
    where there is something; inner, distance: as of `Plan`."""

    hidden: str = ""
    decoder_widths: str = ""
    decoder_depths: str = ""
    cross_heads: str = ""
    memories: str = ""
    inner: int = 0
    distance: int = 8


def _hat(widths: str, depths: tuple[str, str], heads: str, hidden: str, inner: int) -> TextSize:
    """depths: of encoder and decoder."""
    own = Size(widths, depths[0], heads, "", 0, "relu", "attention", "post")
    return TextSize(
        **vars(own),
        hidden=hidden,
        decoder_widths=widths,
        decoder_depths=depths[1],
        cross_heads=heads,
        memories="1+2+3",
        inner=inner,
        distance=0,
    )


SIZES = {
    "small": TextSize("64+96+128", "1+2+3", "1+2+4", "1+2+4", head=32),
    "base": TextSize("256+384+512", "4+5+6", "2+4+8", "1+2+4", head=64),
    "tiny": TextSize("8+12", "1+2", "1+2", "1+2", head=4),
    "hat_iwslt": _hat("512+640", ("6", "1+2+3+4+5+6"), "2+4", "512+1024+2048", 512),
    "hat_wmt": _hat("512+640", ("6", "1+2+3+4+5+6"), "4+8", "1024+2048+3072", 512),
    "hat_tiny": _hat("6+8", ("3", "1+2"), "1+2", "8+12", 4),
}


def space(
    *,
    reads: str = "auto",
    size: str = "small",
    widths: str = "",
    depths: str = "",
    heads: str = "",
    ratios: str = "",
    hidden: str = "",
    feed_forwards: str = "",
    mixers: str = "",
    norms: str = "",
    decoder_widths: str = "",
    decoder_depths: str = "",
    cross_heads: str = "",
    memories: str = "",
    head: Annotated[int, Range(-1, 1024)] = -1,
    inner: Annotated[int, Range(-1, 65_536)] = -1,
    distance: Annotated[int, Range(-1, 1024)] = -1,
    rescaled: bool = False,
    kernel: Annotated[int, Range(1, 31)] = 3,
    dropout: Portion = 0.1,
) -> Space:
    """`reads`: encoder, for tasks that say one thing of a text or a sound; decoder, for language; auto: which of these
    the task needs; both, for pairs of texts, with decisions for each.
    `size`: small, base or tiny; with reads=both also hat_iwslt, hat_wmt or hat_tiny. The options `a+b+c` of each
    decision, and other settings left empty (or -1): those of the size. hidden: numbers of hidden values, in the place
    of ratios. With reads=both: decoder_widths, decoder_depths, where they are not as the encoder's; cross_heads, where
    attention to the encoder has heads of its own; memories, at how many of its last layers a layer looks. head: width
    of a head; 0: all heads together are as wide as inner, or where that is 0 as the widest embedding, however many they
    are. distance: largest relative position that is told apart; 0: none is. rescaled: what an option has less of is
    multiplied by as much (AutoFormer's `scale`). kernel: tokens that a convolution reads. dropout: of the embedding and
    of what every part adds."""
    if reads not in TAKES:
        raise unknown("setting reads of space 'transformer':", reads, TAKES)
    own: TextSize = layers.sized("transformer", SIZES, size)
    texts = own.texts(widths, depths, heads, ratios, feed_forwards, mixers, norms)
    if ratios and hidden:
        raise UserError("The space 'transformer' has ratios or numbers of hidden values: leave out ratios or hidden.")
    if hidden or (own.hidden and not ratios):
        texts = {"hidden" if kind == "ratio" else kind: text for kind, text in texts.items()}
        texts["hidden"] = hidden or own.hidden
    texts |= _of_decoder(reads, size, own, decoder_widths, decoder_depths, cross_heads, memories)
    plan = partial(
        Plan,
        head=own.head if head < 0 else head,
        inner=own.inner if inner < 0 else inner,
        distance=own.distance if distance < 0 else distance,
        rescaled=rescaled,
        kernel=kernel,
        dropout=dropout,
    )
    return space_of("transformer", reads, texts, plan, takes=TAKES[reads])


def _of_decoder(reads: str, size: str, own: TextSize, *given: str) -> Texts:
    """What a decoder behind an encoder decides by itself. Errors: `UserError` where there is none."""
    usual = own.decoder_widths, own.decoder_depths, own.cross_heads, own.memories
    texts = {
        f"{DECODER}{kind}": text or other
        for kind, text, other in zip(("width", "depth", "cross_heads", "memory"), given, usual, strict=True)
        if text or other
    }
    if texts and reads != "both":
        raise UserError(
            f"The space 'transformer' has a size, {size}, or settings (decoder_widths, decoder_depths, cross_heads, "
            f"memories) of a decoder behind an encoder, and reads={reads}: set reads=both, or leave them out."
        )
    return texts
