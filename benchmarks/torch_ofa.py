"""The PyTorch side of `--work ofa`: the elastic MobileNetV3 of Cai et al. 2020 (Once-for-All, arXiv:1908.09791) for
images of 32 pixels, and a step of its progressive shrinking.

Written for PyTorch as one would today. A sub-network computes with slices of the weights, as it does in
mit-han-lab/once-for-all, so a small one costs less. Layers and options are those of `ours.ofa_space`; the numbers of
parameters agree.
"""

import copy
import random
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNELS, EXPANSIONS = (3, 5, 7), (3, 4, 6)
STAGES = (  # channels, stride, squeeze-excite, whether the activation is a hard swish
    (24, 1, False, False),
    (40, 2, True, False),
    (80, 2, False, True),
    (112, 1, True, True),
    (160, 2, True, True),
)
HEAD, FEATURES = 960, 1280


class Choice(NamedTuple):
    """A sub-network: kernel and expansion of every block, and how many blocks each stage has."""

    kernels: list[int]
    expansions: list[int]
    depths: list[int]


def rounded(width: float) -> int:
    """The nearest multiple of 8, one more where that is below 90 %."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest


def normed(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """By the first channels of a norm."""
    count = x.shape[1]
    mean, var, scale, bias = (t[:count] for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias))
    return functional.batch_norm(x, mean, var, scale, bias, norm.training, norm.momentum, norm.eps)


def activated(x: Tensor, hard: bool) -> Tensor:
    return functional.hardswish(x) if hard else functional.relu(x)


class ElasticBlock(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int, squeeze: bool, hard: bool):
        super().__init__()
        hidden = rounded(c_in * EXPANSIONS[-1])
        self.c_in, self.stride, self.hard, self.shortcut = c_in, stride, hard, stride == 1 and c_in == c_out
        self.expand, self.expand_norm = nn.Conv2d(c_in, hidden, 1, bias=False), nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, KERNELS[-1], groups=hidden, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(hidden)
        self.matrices = nn.ParameterList(torch.eye(size * size) for size in KERNELS[-2::-1])
        self.reduce = nn.Conv2d(hidden, rounded(hidden / 4), 1) if squeeze else None
        self.gate = nn.Conv2d(rounded(hidden / 4), hidden, 1) if squeeze else None
        self.project, self.project_norm = nn.Conv2d(hidden, c_out, 1, bias=False), nn.BatchNorm2d(c_out)

    def filters(self, kernel: int, channels: int) -> Tensor:
        """The depthwise kernel of a size, from the next larger one each."""
        found = self.depthwise.weight[:channels]
        for size, matrix in zip(KERNELS[-2::-1], self.matrices, strict=True):
            if found.shape[-1] == kernel:
                break
            edge = (found.shape[-1] - size) // 2
            centre = found[:, :, edge : edge + size, edge : edge + size].reshape(channels, -1)
            found = functional.linear(centre, matrix).view(channels, 1, size, size)
        return found

    def forward(self, x: Tensor, kernel: int, expansion: int) -> Tensor:
        channels = rounded(self.c_in * expansion)
        y = activated(normed(self.expand_norm, functional.conv2d(x, self.expand.weight[:channels])), self.hard)
        filters = self.filters(kernel, channels)
        y = functional.conv2d(y, filters, None, self.stride, kernel // 2, groups=channels)
        y = activated(normed(self.depthwise_norm, y), self.hard)
        if self.reduce is not None:
            inner, (down, up) = rounded(channels / 4), (self.reduce, self.gate)
            squeezed = functional.conv2d(
                y.mean((2, 3), keepdim=True), down.weight[:inner, :channels], down.bias[:inner]
            )
            opened = functional.conv2d(functional.relu(squeezed), up.weight[:channels, :inner], up.bias[:channels])
            y = y * functional.hardsigmoid(opened)
        y = normed(self.project_norm, functional.conv2d(y, self.project.weight[:, :channels]))
        return x + y if self.shortcut else y


class Ofa(nn.Module):
    """channels: of the stem, 16 as published; depth: the largest of every stage, 4 as published."""

    def __init__(self, channels: int, depth: int, classes: int = 10):
        super().__init__()
        width, factor = rounded(channels), channels / 16
        self.depths = [*range(max(1, depth - 2), depth + 1)]
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.Hardswish())
        self.first = nn.Sequential(
            *(nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width)),
        )
        self.blocks = nn.ModuleList()
        for published, stride, squeeze, hard in STAGES:
            for place in range(depth):
                after = rounded(published * factor)
                self.blocks.append(ElasticBlock(width, after, 1 if place else stride, squeeze, hard))
                width = after
        head, features = rounded(HEAD * factor), rounded(FEATURES * factor)
        self.head = nn.Sequential(nn.Conv2d(width, head, 1, bias=False), nn.BatchNorm2d(head), nn.Hardswish())
        self.features, self.classifier = nn.Linear(head, features, bias=False), nn.Linear(features, classes)

    def forward(self, x: Tensor, choice: Choice) -> Tensor:
        x = self.stem(x)
        x = x + self.first(x)
        for stage, depth in enumerate(choice.depths):
            for number in range(stage * self.depths[-1], stage * self.depths[-1] + depth):
                x = self.blocks[number](x, choice.kernels[number], choice.expansions[number])
        return self.classifier(functional.hardswish(self.features(self.head(x).mean((2, 3)))))

    def largest(self) -> Choice:
        count = len(self.blocks)
        return Choice([KERNELS[-1]] * count, [EXPANSIONS[-1]] * count, [self.depths[-1]] * len(STAGES))

    def sampled(self, draws: random.Random) -> Choice:
        count = len(self.blocks)
        kernels, expansions = draws.choices(KERNELS, k=count), draws.choices(EXPANSIONS, k=count)
        return Choice(kernels, expansions, draws.choices(self.depths, k=len(STAGES)))


class Shrinking:
    """One step: `paths` sampled sub-networks learn from their batch and from the largest network of the teacher, which
    looks at it in training mode; their gradients are added."""

    def __init__(self, model: Ofa, forward: Callable[..., Tensor], paths: int = 2):
        self.model, self.forward, self.paths = model, forward, paths
        self.teacher, self.draws = copy.deepcopy(model), random.Random(0)
        self.optimiser = torch.optim.SGD(model.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)

    def step(self, train: tuple[Tensor, Tensor], valid: object = None) -> float:
        x, y = train
        with torch.no_grad():
            soft = self.forward(x, self.model.largest(), model=self.teacher).softmax(-1)
        self.optimiser.zero_grad()
        losses = []
        for _ in range(self.paths):
            logits = self.forward(x, self.model.sampled(self.draws))
            loss = functional.cross_entropy(logits, y) + functional.cross_entropy(logits, soft)
            loss.backward()
            losses.append(loss.item())
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        return sum(losses) / len(losses)
