"""SPOS: 20 layers, each one of four shuffle blocks, of three kernels or of three 3x3 convolutions (xception).

Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV 2020, arXiv:1904.00420
(section 4 and table 1); sizes as in megvii-model/SinglePathOneShot, whose digits 0 to 3 are the options in this order.
The norms of the supernet have no affine transform there; those of a derived network have one.
"""

from dataclasses import replace

from dnas.architectures.topology import Norm, Space
from dnas.spaces import layers

BLOCKS = ["shuffle3", "shuffle5", "shuffle7", "xception"]
SIZES = {  # stem, stages, head
    "imagenet": ("conv3_c16_s2", "64x4s2+160x4s2+320x8s2+640x4s2", "conv1_c1024"),
    "cifar": ("conv3_c16", "64x4s2+160x4s2+320x8s2+640x4s2", "conv1_c1024"),
    "tiny": ("conv3_c16", "24x2s2", "conv1_c32"),
}


def space(*, size: str = "imagenet") -> Space:
    """`size`: imagenet, as published, for 224 pixels; cifar, for 32; tiny, two layers."""
    stem, stages, head = layers.sized("spos", SIZES, size)
    rows = layers.rows_of(stages, BLOCKS, 16)
    found = layers.space_of("spos", rows, before=[stem], after=[head, "logits_nobias"])
    return replace(found, search_norm=Norm(affine=False, pools=False))
