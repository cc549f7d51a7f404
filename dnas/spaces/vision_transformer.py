"""Vision transformers of which widths, depth, heads, feed-forward, mixer and norm are decisions; AutoFormer's spaces.

Chen, Peng, Fu and Ling, "AutoFormer: Searching Transformers for Visual Recognition", ICCV 2021, arXiv:2107.00651, after
microsoft/Cream `AutoFormer`: `size=autoformer_t`, `_s` and `_b` are its supernets, whose weights are entangled and
trained by one path a step (method `spos`); what their searches found is in the zoo, `autoformer_tiny`,
`autoformer_small` and `autoformer_base`. `size=deit_t`, `_s` and `_b` decide nothing: the networks of Touvron et al.
2021 (DeiT, arXiv:2012.12877) without distillation, as baselines. The other sizes decide more. Networks are in
`nets/transformer.py`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from dnas.architectures.topology import Space
from dnas.errors import UserError
from dnas.nets.transformer_options import Plan
from dnas.ranges import Portion, Range
from dnas.spaces import layers
from dnas.spaces.transformer_tables import Size, space_of


@dataclass(frozen=True, kw_only=True)
class ImageSize(Size):
    """With what only networks of images have, as of `Plan`."""

    pixels: int = 224
    patch: int = 16
    distance: int = 0
    class_token: bool = True
    pool: str = "mean"


def _published(
    widths: str, depths: str, heads: str, ratios: str, *, distance: int = 0, pool: str = "mean"
) -> ImageSize:
    return ImageSize(widths, depths, heads, ratios, 64, "gelu", "attention", "pre", distance=distance, pool=pool)


SIZES = {
    "cifar": ImageSize("96+144+192", "4+5+6", "2+4+6", "1+2+4", head=32, pixels=32, patch=4, class_token=False),
    "tiny": ImageSize("8+12", "1+2", "1+2", "1+2", head=4, pixels=8, patch=4, class_token=False),
    "autoformer_t": _published("192+216+240", "12+13+14", "3+4", "3.5+4", distance=14),
    "autoformer_s": _published("320+384+448", "12+13+14", "5+6+7", "3+3.5+4", distance=14),
    "autoformer_b": _published("528+576+624", "14+15+16", "9+10", "3+3.5+4", distance=14),
    "deit_t": _published("192", "12", "3", "4", pool="class"),
    "deit_s": _published("384", "12", "6", "4", pool="class"),
    "deit_b": _published("768", "12", "12", "4", pool="class"),
}
CLASS_TOKEN = {"": None, "true": True, "false": False}
POOLS = ("mean", "class")


def space(
    *,
    size: str = "cifar",
    widths: str = "",
    depths: str = "",
    heads: str = "",
    ratios: str = "",
    feed_forwards: str = "",
    mixers: str = "",
    norms: str = "",
    head: Annotated[int, Range(-1, 1024)] = -1,
    distance: Annotated[int, Range(-1, 1024)] = -1,
    pixels: Annotated[int, Range(0, 4096)] = 0,
    patch: Annotated[int, Range(0, 256)] = 0,
    positions: bool = True,
    class_token: str = "",
    pool: str = "",
    rescaled: bool = False,
    kernel: Annotated[int, Range(1, 31)] = 3,
    dropout: Portion = 0.0,
) -> Space:
    """`size`: cifar, for 32 pixels; tiny, for 8; autoformer_t, autoformer_s and autoformer_b, as published, for 224;
    deit_t, deit_s and deit_b, one network each, for comparison.
    The options `a+b+c` of each decision, and other settings left empty (0, or -1 where 0 means something): those of the
    size. head: width of a head; 0: all heads together are as wide as the widest embedding, however many they are.
    distance: largest relative position that is told apart; 0: none is. pixels: side of the images that learnt positions
    are made for; others have them interpolated. class_token: true or false. pool: mean of the patches, or class, what
    the token gives. rescaled: what an option has less of is multiplied by as much. kernel: patches on a side that a
    convolution reads."""
    own: ImageSize = layers.sized("vision_transformer", SIZES, size)
    texts = own.texts(widths, depths, heads, ratios, feed_forwards, mixers, norms)
    if class_token not in CLASS_TOKEN or pool not in ("", *POOLS):
        raise UserError(
            "The setting 'class_token' of the space 'vision_transformer' is true or false, and 'pool' mean or class, "
            f"not '{class_token}' and '{pool}'."
        )
    token = CLASS_TOKEN[class_token]
    plan = partial(
        Plan,
        head=own.head if head < 0 else head,
        distance=own.distance if distance < 0 else distance,
        rescaled=rescaled,
        kernel=kernel,
        dropout=dropout,
        patch=patch or own.patch,
        pixels=pixels or own.pixels,
        positions=positions,
        class_token=own.class_token if token is None else token,
        pool=pool or own.pool,
    )
    _check(plan(full=1, ratio=1))
    return space_of("vision_transformer", "images", texts, plan, takes="images")


def _check(plan: Plan) -> None:
    """Errors: `UserError` for settings that do not fit together."""
    if plan.pool == "class" and not plan.class_token:
        raise UserError("pool=class of the space 'vision_transformer' reads a class token: set class_token=true too.")
    if plan.pixels % plan.patch:
        raise UserError(
            f"Images of {plan.pixels} pixels are not cut into patches of {plan.patch} by the space "
            "'vision_transformer': choose pixels that are a multiple of patch."
        )
