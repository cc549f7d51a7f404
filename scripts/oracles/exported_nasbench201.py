"""What PyTorch makes of an exported network of NAS-Bench-201: tests/exporting/exported_nasbench201.npz, for
tests/exporting/test_exporting.py. Needs PyTorch and NumPy alone:

    python scripts/oracles/exported_nasbench201.py EXPORT/state_dict.npz tests/exporting/exported_nasbench201.npz

The network is that of the cell below, one cell a stage, written here in PyTorch's layers from the definitions of Dong
and Yang 2020, arXiv:2001.00326; its names are those of D-X-Y/AutoDL-Projects. A state_dict that does not fit is refused
by `load_state_dict`, which is strict.
"""

import sys

import numpy as np
import torch
from torch import nn

CELL = [  # node: (operation, source) of every edge, as |nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+...
    [("nor_conv_3x3", 0)],
    [("none", 0), ("nor_conv_1x1", 1)],
    [("skip_connect", 0), ("none", 1), ("avg_pool_3x3", 2)],
]


class Zero(nn.Module):
    def forward(self, x):
        return x * 0


class ReLUConvBN(nn.Module):
    def __init__(self, before, after, kernel, stride=1):
        super().__init__()
        conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        self.op = nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(after))

    def forward(self, x):
        return self.op(x)


class InferCell(nn.Module):
    def __init__(self, channels):
        super().__init__()
        made = {
            "none": Zero,
            "skip_connect": nn.Identity,
            "nor_conv_1x1": lambda: ReLUConvBN(channels, channels, 1),
            "nor_conv_3x3": lambda: ReLUConvBN(channels, channels, 3),
            "avg_pool_3x3": lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        }
        self.layers = nn.ModuleList(made[name]() for node in CELL for name, _ in node)

    def forward(self, x):
        nodes, layers = [x], iter(self.layers)
        for node in CELL:
            nodes.append(sum(next(layers)(nodes[source]) for _, source in node))
        return nodes[-1]


class ResNetBasicblock(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.conv_a, self.conv_b = ReLUConvBN(before, after, 3, 2), ReLUConvBN(after, after, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x):
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class TinyNetwork(nn.Module):
    def __init__(self, channels, inputs, classes):
        super().__init__()
        c = channels
        self.stem = nn.Sequential(nn.Conv2d(inputs, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))
        self.cells = nn.ModuleList(
            [
                InferCell(c),
                ResNetBasicblock(c, 2 * c),
                InferCell(2 * c),
                ResNetBasicblock(2 * c, 4 * c),
                InferCell(4 * c),
            ]
        )
        self.lastact = nn.Sequential(nn.BatchNorm2d(4 * c), nn.ReLU())
        self.classifier = nn.Linear(4 * c, classes)

    def forward(self, x):
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x)
        return self.classifier(self.lastact(x).mean((2, 3)))


def main(source, target):
    with np.load(source, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    stem, classes = arrays["stem.0.weight"], len(arrays["classifier.weight"])
    model = TinyNetwork(len(stem), stem.shape[1], classes).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, stem.shape[1]), np.uint8)
    with torch.no_grad():
        x = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
        logits = model(x).numpy()
    np.savez_compressed(target, images=images, logits=logits, **{f"state/{name}": a for name, a in arrays.items()})
    print(target, logits.shape, float(np.abs(logits).max()))


if __name__ == "__main__":
    main(*sys.argv[1:])
