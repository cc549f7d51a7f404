"""The PyTorch side of the benchmark: the published supernets and search steps, written for PyTorch as one would today.

DARTS: Liu et al. 2019, arXiv:1806.09055 (cells, operations, equation 7 and its finite difference, equation 8).
NAS-Bench-201: Dong and Yang 2020, arXiv:2001.00326. Used by `scripts/benchmark.py` only; the library never imports it.
"""

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_fbnet import FBNet
from torch_ofa import Ofa, Shrinking

DARTS_OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
NASBENCH201_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
# DARTS_V2 as (operation, source) pairs, two per node
DARTS_V2 = {
    "normal": (
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1),
        ("skip_connect", 0),
        ("skip_connect", 0),
        ("dil_conv_3x3", 2),
    ),
    "reduce": (
        ("max_pool_3x3", 0),
        ("max_pool_3x3", 1),
        ("skip_connect", 2),
        ("max_pool_3x3", 1),
        ("max_pool_3x3", 0),
        ("skip_connect", 2),
        ("skip_connect", 2),
        ("max_pool_3x3", 1),
    ),
}


class Zero(nn.Module):
    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride].mul(0.0)


class FactorizedReduce(nn.Module):
    def __init__(self, c_in: int, c_out: int, affine: bool):
        super().__init__()
        self.even = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(c_out, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(x)
        return self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))


def relu_conv_norm(c_in: int, c_out: int, size: int, affine: bool, bias: bool = False) -> nn.Module:
    conv = nn.Conv2d(c_in, c_out, size, padding=size // 2, bias=bias)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(c_out, affine=affine))


def separable(channels: int, size: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    padding = dilation * (size - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, size, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


def operation(name: str, channels: int, stride: int, affine: bool, normed_pools: bool) -> nn.Module:
    """One candidate operation."""
    if name == "none":
        return Zero(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)
    if name in ("nor_conv_1x1", "nor_conv_3x3"):
        return relu_conv_norm(channels, channels, int(name[-1]), affine, bias=not affine)
    kind, size = name[:-4], int(name[-1])
    if kind == "max_pool":
        pool: nn.Module = nn.MaxPool2d(3, stride, 1)
    elif kind == "avg_pool":
        pool = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    elif kind == "sep_conv":
        first = separable(channels, size, stride, 1, affine)
        return nn.Sequential(*first, *separable(channels, size, 1, 1, affine))
    else:
        return nn.Sequential(*separable(channels, size, stride, 2, affine))
    return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False)) if normed_pools else pool


class MixedOperation(nn.Module):
    def __init__(self, names: Sequence[str], channels: int, stride: int, normed_pools: bool):
        super().__init__()
        self.operations = nn.ModuleList(operation(n, channels, stride, False, normed_pools) for n in names)

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        return sum(weight * op(x) for weight, op in zip(mix, self.operations, strict=True))


class DartsCell(nn.Module):
    """Mixed operations on all edges, or the operations of `genes`."""

    def __init__(self, before_last, last, channels, reduction, halve, nodes=4, genes=None):
        super().__init__()
        affine = genes is not None
        self.genes, self.nodes = genes, nodes
        project = FactorizedReduce if halve else lambda a, b, affine: relu_conv_norm(a, b, 1, affine)
        self.first, self.second = project(before_last, channels, affine), relu_conv_norm(last, channels, 1, affine)
        sources = [s for _, s in genes] if genes else [s for node in range(nodes) for s in range(2 + node)]
        strides = [2 if reduction and s < 2 else 1 for s in sources]
        if genes:
            pairs = zip(genes, strides, strict=True)
            self.edges = nn.ModuleList(operation(n, channels, stride, True, False) for (n, _), stride in pairs)
        else:
            self.edges = nn.ModuleList(MixedOperation(DARTS_OPERATIONS, channels, s, True) for s in strides)

    def forward(self, s0: Tensor, s1: Tensor, mix: Tensor | None, drop_path: float) -> Tensor:
        states = [self.first(s0), self.second(s1)]
        if self.genes is None:
            edge = 0
            for _ in range(self.nodes):
                new = sum(self.edges[edge + i](state, mix[edge + i]) for i, state in enumerate(states))
                edge += len(states)
                states.append(new)
        else:
            for node in range(self.nodes):
                values = []
                for e in (2 * node, 2 * node + 1):
                    value = self.edges[e](states[self.genes[e][1]])
                    if drop_path and self.training and not isinstance(self.edges[e], nn.Identity):
                        keep = torch.empty(len(value), 1, 1, 1, device=value.device).bernoulli_(1 - drop_path)
                        value = value / (1 - drop_path) * keep
                    values.append(value)
                states.append(values[0] + values[1])
        return torch.cat(states[-self.nodes :], 1)


class Darts(nn.Module):
    """The DARTS supernet, or with `genotype` the derived network with its auxiliary head (CIFAR)."""

    mix_shapes = {"normal": (14, 8), "reduce": (14, 8)}

    def __init__(self, channels: int, cells: int, classes: int = 10, genotype=None):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels))
        before_last = last = 3 * channels
        halve, self.kinds, modules = False, [], []
        self.auxiliary_at = 2 * cells // 3
        for i in range(cells):
            reduction = i in (cells // 3, 2 * cells // 3)
            channels = 2 * channels if reduction else channels
            kind = "reduce" if reduction else "normal"
            genes = genotype[kind] if genotype else None
            modules.append(DartsCell(before_last, last, channels, reduction, halve, genes=genes))
            self.kinds.append(kind)
            before_last, last, halve = last, 4 * channels, reduction
            if genotype and i == self.auxiliary_at:
                self.auxiliary = auxiliary_head(last, classes)
        self.cells, self.genotype = nn.ModuleList(modules), genotype
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: Tensor, mix=None, drop_path: float = 0.0):
        s0 = s1 = self.stem(x)
        auxiliary = None
        for i, (kind, cell) in enumerate(zip(self.kinds, self.cells, strict=True)):
            s0, s1 = s1, cell(s0, s1, None if mix is None else mix[kind], drop_path)
            if self.genotype and i == self.auxiliary_at:
                auxiliary = self.auxiliary(s1)
        logits = self.classifier(s1.mean((2, 3)))
        return (logits, auxiliary) if self.genotype else logits


def auxiliary_head(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride=3, padding=0, count_include_pad=False),
        nn.Conv2d(channels, 128, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Conv2d(128, 768, 2, bias=False),
        nn.BatchNorm2d(768),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(768, classes),
    )


class NasBench201Cell(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        pairs = [(node, source) for node in (1, 2, 3) for source in range(node)]
        self.pairs = pairs
        self.edges = nn.ModuleList(MixedOperation(NASBENCH201_OPERATIONS, channels, 1, False) for _ in pairs)

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        states = [x]
        for node in (1, 2, 3):
            incoming = [e for e, pair in enumerate(self.pairs) if pair[0] == node]
            states.append(sum(self.edges[e](states[self.pairs[e][1]], mix[e]) for e in incoming))
        return states[-1]


class Residual(nn.Module):
    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.first = nn.Sequential(nn.ReLU(), nn.Conv2d(c_in, c_out, 3, 2, 1, bias=False), nn.BatchNorm2d(c_out))
        self.second = relu_conv_norm(c_out, c_out, 3, True)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.second(self.first(x))


class NasBench201(nn.Module):
    """The NAS-Bench-201 supernet: 3 stages of `cells` cells, residual blocks between."""

    mix_shapes = {"cell": (6, 5)}

    def __init__(self, channels: int, cells: int, classes: int = 10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        blocks: list[nn.Module] = []
        for stage in range(3):
            blocks += [Residual(channels << (stage - 1), channels << stage)] if stage else []
            blocks += [NasBench201Cell(channels << stage) for _ in range(cells)]
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Sequential(nn.BatchNorm2d(4 * channels), nn.ReLU())
        self.classifier = nn.Linear(4 * channels, classes)

    def forward(self, x: Tensor, mix: dict[str, Tensor]) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, mix["cell"]) if isinstance(block, NasBench201Cell) else block(x)
        return self.classifier(self.last(x).mean((2, 3)))


class BilevelSearch:
    """One step: alphas by the validation batch, then weights by the training batch; `second` as DARTS published it."""

    def __init__(self, model: nn.Module, second: bool, forward: Callable, device):
        self.model, self.forward, self.second = model, forward, second
        self.weights = list(model.parameters())
        self.alphas = {k: (1e-3 * torch.randn(s, device=device)).requires_grad_() for k, s in model.mix_shapes.items()}
        self.weight_optimiser = torch.optim.SGD(self.weights, 0.025, momentum=0.9, weight_decay=3e-4)
        self.alpha_optimiser = torch.optim.Adam(self.alphas.values(), 3e-4, (0.5, 0.999), weight_decay=1e-3)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        mix = {kind: a.softmax(-1) for kind, a in self.alphas.items()}
        return functional.cross_entropy(self.forward(x, mix), y)

    def step(self, train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor]) -> float:
        self.alpha_optimiser.zero_grad()
        self._second_order(train, valid) if self.second else self.loss(*valid).backward()
        self.alpha_optimiser.step()
        self.weight_optimiser.zero_grad()
        loss = self.loss(*train)
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, 5.0)
        self.weight_optimiser.step()
        return loss.item()

    def _second_order(self, train, valid, rate: float = 0.025, momentum: float = 0.9, decay: float = 3e-4) -> None:
        alphas = list(self.alphas.values())
        start = [w.detach().clone() for w in self.weights]
        gradients = torch.autograd.grad(self.loss(*train), self.weights)
        with torch.no_grad():
            for w, g in zip(self.weights, gradients, strict=True):
                buffer = self.weight_optimiser.state[w].get("momentum_buffer")
                update = g + decay * w if buffer is None else g + decay * w + momentum * buffer
                w -= rate * update
        both = torch.autograd.grad(self.loss(*valid), alphas + self.weights)
        direct, vector = both[: len(alphas)], both[len(alphas) :]
        radius = 0.01 / torch.cat([v.flatten() for v in vector]).norm()
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                for w, s, v in zip(self.weights, start, vector, strict=True):
                    w.copy_(s + sign * radius * v)
            ends.append(torch.autograd.grad(self.loss(*train), alphas))
        with torch.no_grad():
            for w, s in zip(self.weights, start, strict=True):
                w.copy_(s)
        for alpha, d, plus, minus in zip(alphas, direct, *ends, strict=True):
            alpha.grad = d - rate * (plus - minus) / (2 * radius)


class Training:
    """One training step of the derived network: auxiliary loss, drop-path, clipping, SGD."""

    def __init__(self, model: nn.Module, forward: Callable, drop_path: float = 0.1):
        self.model, self.forward, self.drop_path = model, forward, drop_path
        self.optimiser = torch.optim.SGD(model.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)

    def step(self, train: tuple[Tensor, Tensor], valid=None) -> float:
        self.optimiser.zero_grad()
        logits, auxiliary = self.forward(train[0], None, self.drop_path)
        loss = functional.cross_entropy(logits, train[1]) + 0.4 * functional.cross_entropy(auxiliary, train[1])
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        return loss.item()


class Job(NamedTuple):
    """A work that is ready. step(): one step, waits for its end and returns the loss. device_bytes(): the GPU's
    largest memory so far, or None on the CPU."""

    step: Callable[[], float]
    parameters: int
    trace_seconds: float
    compile_seconds: float
    facts: dict
    device_bytes: Callable[[], int | None]


def prepare(options: Namespace) -> Job:
    """Build the work in the variant "nchw" (as published), "channels_last" or "compile" (channels_last, compiled)."""
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if options.work == "derived":
        model: nn.Module = Darts(options.channels, options.cells, genotype=DARTS_V2)
    elif options.work == "nasbench201":
        model = NasBench201(options.channels, options.cells)
    elif options.work == "fbnet":
        model = FBNet(options.channels, options.cells)
    elif options.work == "ofa":
        if options.variant == "compile":
            sys.exit(
                "PyTorch compiles one network, and each step of the work 'ofa' samples others: choose channels_last."
            )
        model = Ofa(options.channels, options.cells)
    else:
        model = Darts(options.channels, options.cells)
    model = model.to(device).train()
    layout = torch.contiguous_format if options.variant == "nchw" else torch.channels_last
    model = model.to(memory_format=layout)
    call = torch.compile(model) if options.variant == "compile" else model

    def forward(*args, model=call):
        with torch.autocast(device.type, torch.bfloat16, enabled=options.dtype == "bfloat16"):
            return model(*args)

    batches = [
        (
            torch.randn(options.batch, 3, 32, 32, device=device).contiguous(memory_format=layout),
            torch.randint(0, 10, (options.batch,), device=device),
        )
        for _ in "ab"
    ]
    if options.work == "derived":
        job: Training | BilevelSearch | Shrinking = Training(model, forward)
    elif options.work == "ofa":
        job = Shrinking(model, forward)
    else:
        job = BilevelSearch(model, options.work == "darts-second", forward, device)

    def step() -> float:
        loss = job.step(*batches)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return loss

    def device_bytes() -> int | None:
        return torch.cuda.max_memory_allocated() if device.type == "cuda" else None

    parameters = sum(p.numel() for p in model.parameters())
    return Job(step, parameters, 0.0, 0.0, {"variant": options.variant, "backend": device.type}, device_bytes)
