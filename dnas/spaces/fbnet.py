"""FBNet: 22 layers, each one of nine blocks, inverted residuals of two kernels and four expansions or a skip.

Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search", CVPR 2019,
arXiv:1812.03443 (tables 1 and 2); blocks as in facebookresearch/mobile-vision: no first convolution at expansion 1,
`g2` groups the last one, and a skip where the shape changes is a 1x1 convolution.
"""

from dnas.architectures.topology import Space
from dnas.spaces import layers

BLOCKS = [f"mb{kernel}_{rest}" for kernel in (3, 5) for rest in ("e1", "e1_g2", "e3", "e6")] + ["skip"]
SIZES = {  # stem, stages, head
    "imagenet": ("conv3_c16_s2", "16x1+24x4s2+32x4s2+64x4s2+112x4+184x4s2+352x1", "conv1_c1984"),
    "cifar": ("conv3_c16", "16x1+24x4+32x4s2+64x4s2+112x4+184x4s2+352x1", "conv1_c1984"),
    "small": ("conv3_c8", "8x1+16x3s2+32x3s2", "conv1_c128"),
    "tiny": ("conv3_c8", "8x1+16x2s2", "conv1_c32"),
}


def space(*, size: str = "imagenet") -> Space:
    """`size`: imagenet, as published, for 224 pixels; cifar, for 32; small, seven layers; tiny, three."""
    stem, stages, head = layers.sized("fbnet", SIZES, size)
    inputs = 8 if size in ("small", "tiny") else 16
    return layers.space_of("fbnet", layers.rows_of(stages, BLOCKS, inputs), before=[stem], after=[head])
