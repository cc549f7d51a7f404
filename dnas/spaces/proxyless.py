"""ProxylessNAS: 21 layers, each one of six inverted residuals of three kernels and two expansions or nothing.

Cai, Zhu and Han, "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware", ICLR 2019,
arXiv:1812.00332 (section 4.2); widths as in mit-han-lab/proxylessnas. Its layers that change the shape cannot be left
out and have six options there; here they have a 1x1 convolution as a seventh, so that all layers have as many.
"""

from dnas.architectures.topology import Space
from dnas.spaces import layers

BLOCKS = [f"mb{kernel}_e{expansion}_relu6" for kernel in (3, 5, 7) for expansion in (3, 6)] + ["skip"]
SIZES = {  # what stands before, stages, head
    "imagenet": (
        ["conv3_c32_s2_relu6", "mb3_e1_c16_relu6"],
        "24x4s2+40x4s2+80x4s2+96x4+192x4s2+320x1",
        "conv1_c1280_relu6",
    ),
    "cifar": (["conv3_c32_relu6", "mb3_e1_c16_relu6"], "24x4+40x4s2+80x4s2+96x4+192x4s2+320x1", "conv1_c1280_relu6"),
    "tiny": (["conv3_c8_relu6"], "8x1+16x2s2", "conv1_c32_relu6"),
}


def space(*, size: str = "imagenet") -> Space:
    """`size`: imagenet, as published, for 224 pixels; cifar, for 32; tiny, three layers."""
    before, stages, head = layers.sized("proxyless", SIZES, size)
    inputs = 8 if size == "tiny" else 16
    return layers.space_of("proxyless", layers.rows_of(stages, BLOCKS, inputs), before=before, after=[head])
