"""Steps of the PyTorch side: of a search (Liu et al. 2019, arXiv:1806.09055, equations 7 and 8), of a training."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class BilevelSearch:
    """One step: alphas by the validation batch, then weights by the training batch; `second` as DARTS published it.

    forward: (what a batch has beside targets, mix) -> outputs; criterion: (outputs, targets) -> loss.
    """

    def __init__(self, model: nn.Module, second: bool, forward: Callable, device, criterion=functional.cross_entropy):
        self.forward, self.second, self.criterion = forward, second, criterion
        self.weights = list(model.parameters())
        self.alphas = {k: (1e-3 * torch.randn(s, device=device)).requires_grad_() for k, s in model.mix_shapes.items()}
        self.weight_optimiser = torch.optim.SGD(self.weights, 0.025, momentum=0.9, weight_decay=3e-4)
        self.alpha_optimiser = torch.optim.Adam(self.alphas.values(), 3e-4, (0.5, 0.999), weight_decay=1e-3)

    def loss(self, x: Any, y: Tensor) -> Tensor:
        mix = {kind: a.softmax(-1) for kind, a in self.alphas.items()}
        return self.criterion(self.forward(x, mix), y)

    def step(self, train: tuple[Any, Tensor], valid: tuple[Any, Tensor]) -> float:
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
