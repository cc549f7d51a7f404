"""The PyTorch side of `--work fbnet`: the supernet of Wu et al. 2019 (FBNet, arXiv:1812.03443) for images of 32 pixels.

Written for PyTorch as one would today. Layers and candidates are those of `ours.fbnet_space`; the numbers of parameters
agree.
"""

from torch import Tensor, nn

BLOCKS = [
    (kernel, *rest) for kernel in (3, 5) for rest in ((1, 1), (1, 2), (3, 1), (6, 1))
]  # kernel, expansion, groups
STAGES = (
    (16, 1, False),
    (24, 4, False),
    (32, 4, True),
    (64, 4, True),
    (112, 4, False),
    (184, 4, True),
    (352, 1, False),
)
HEAD = 1984


def conv_norm(c_in: int, c_out: int, size: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, c_out, size, stride, size // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(c_out)]


class Shuffle(nn.Module):
    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


class InvertedResidual(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int, kernel: int, expansion: int, groups: int):
        super().__init__()
        hidden = expansion * c_in
        layers = [*conv_norm(c_in, hidden), nn.ReLU()] if expansion > 1 else []
        layers += [*conv_norm(hidden, hidden, kernel, stride, hidden), nn.ReLU()]
        layers += [Shuffle(groups)] if groups > 1 else []
        self.layers = nn.Sequential(*layers, *conv_norm(hidden, c_out, groups=groups))
        self.shortcut = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.shortcut else self.layers(x)


class Layer(nn.Module):
    """All candidates of a layer, the last one the identity, or a 1x1 convolution where the shape changes."""

    def __init__(self, c_in: int, c_out: int, stride: int):
        super().__init__()
        same = stride == 1 and c_in == c_out
        skip = nn.Identity() if same else nn.Sequential(*conv_norm(c_in, c_out, 1, stride), nn.ReLU())
        self.candidates = nn.ModuleList([*(InvertedResidual(c_in, c_out, stride, *b) for b in BLOCKS), skip])

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        return sum(weight * block(x) for weight, block in zip(mix, self.candidates, strict=True))


class FBNet(nn.Module):
    """channels: of the stem; layers: of the stages that have more than one. 16 and 4 as published."""

    def __init__(self, channels: int, layers: int, classes: int = 10):
        super().__init__()
        width, found = channels, list[Layer]()
        for published, count, halves in STAGES:
            for i in range(layers if count > 1 else 1):
                after = published * channels // 16
                found.append(Layer(width, after, 2 if halves and i == 0 else 1))
                width = after
        self.stem = nn.Sequential(*conv_norm(3, channels, 3), nn.ReLU())
        self.layers = nn.ModuleList(found)
        self.head = nn.Sequential(*conv_norm(width, HEAD * channels // 16), nn.ReLU())
        self.classifier = nn.Linear(HEAD * channels // 16, classes)

    def forward(self, x: Tensor, mix: dict[str, Tensor]) -> Tensor:
        x = self.stem(x)
        for layer, row in zip(self.layers, mix["block"], strict=True):
            x = layer(x, row)
        return self.classifier(self.head(x).mean((2, 3)))

    @property
    def mix_shapes(self) -> dict[str, tuple[int, int]]:
        return {"block": (len(self.layers), len(BLOCKS) + 1)}
