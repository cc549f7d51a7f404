"""The PyTorch side of `--work rnn`: DARTS' recurrent supernet (Liu et al. 2019, arXiv:1806.09055, appendix A.2).

Written for PyTorch as one would today: what the words give is computed for all time steps at once, the activations of
an edge share its gate, and `compile` is for the cell, as the loop over time would be unrolled.
Axis letters: B batch, T time, H width, V vocabulary, E edges.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

BOUND = 0.04  # of the uniform initial weights
EMBEDDED, INPUTS, HIDDEN, OUTPUTS = 0.2, 0.75, 0.25, 0.75  # rates of dropout, the same at all time steps
SLOWNESS = 1e-3  # of temporal activation regularisation


class Outputs(NamedTuple):
    """logits [B, T, V], states [B, T, H]."""

    logits: Tensor
    states: Tensor


def highway(state: Tensor, gated: Tensor) -> Tensor:
    gate, candidate = gated.chunk(2, -1)
    return state + gate.sigmoid() * (candidate.tanh() - state)


class MixedCell(nn.Module):
    """All activations on the edges from all states before a node: none, tanh, ReLU, sigmoid, identity."""

    def __init__(self, width: int, nodes: int):
        super().__init__()
        self.weights = nn.ParameterList(torch.empty(width, 2 * width).uniform_(-BOUND, BOUND) for _ in range(nodes))
        self.norm = nn.BatchNorm1d(width, affine=False)

    def forward(self, gated: Tensor, state: Tensor, mask: Tensor, mix: Tensor) -> Tensor:
        """gated [B, 2H], state [B, H], mask [B, H] of states, mix [E, 5] -> the next state [B, H]."""
        states = self.norm(highway(state, gated))[None]
        for node, weights in enumerate(self.weights):
            first = node * (node + 1) // 2
            tanh, relu, sigmoid, identity = mix[first : first + node + 1, 1:, None, None].unbind(1)
            gate, x = ((states * mask) @ weights).chunk(2, -1)
            carried = (tanh + relu + sigmoid + identity) * states
            activated = tanh * x.tanh() + relu * x.relu() + sigmoid * x.sigmoid() + identity * x
            value = (carried + gate.sigmoid() * (activated - carried)).sum(0)
            states = torch.cat([states, self.norm(value)[None]])
        return states[1:].mean(0)


class RecurrentSupernet(nn.Module):
    """A language model around the cell, whose decoder is the embedding."""

    def __init__(self, width: int, nodes: int, vocabulary: int):
        super().__init__()
        self.embedding, self.decoder = nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary)
        self.decoder.weight = self.embedding.weight
        nn.init.uniform_(self.embedding.weight, -BOUND, BOUND)
        nn.init.zeros_(self.decoder.bias)
        self.first = nn.Parameter(torch.empty(2 * width, 2 * width).uniform_(-BOUND, BOUND))
        self.cell = MixedCell(width, nodes)
        self.width, self.mix_shapes = width, {"recurrent": (nodes * (nodes + 1) // 2, 5)}

    def forward(self, tokens: Tensor, carry: Tensor, mix: dict[str, Tensor]) -> Outputs:
        """tokens [B, T], carry [B, H]."""
        x = self.embedding(tokens)
        one = x.new_ones(len(tokens), 1, self.width)
        embedded, inputs, hidden, outputs = (
            functional.dropout(one, rate, self.training) for rate in (EMBEDDED, INPUTS, HIDDEN, OUTPUTS)
        )
        hidden, state, states = hidden[:, 0], carry, []
        of_words, of_state = self.first.split(self.width)
        for of_input in ((x * embedded * inputs) @ of_words).unbind(1):
            gated = of_input + (state * hidden) @ of_state
            state = self.cell(gated, state, hidden, mix["recurrent"])
            states.append(state)
        found = torch.stack(states, 1)
        return Outputs(self.decoder(found * outputs), found)


class Level:
    """What one level of a search reads: words [B, T], and the state that its batch before left."""

    def __init__(self, tokens: Tensor, width: int):
        self.tokens, self.carry = tokens, torch.zeros(len(tokens), width, device=tokens.device)

    def read(self, model: nn.Module, mix: dict[str, Tensor]) -> Outputs:
        outputs = model(self.tokens, self.carry, mix)
        self.carry = outputs.states[:, -1].detach()
        return outputs


def loss(outputs: Outputs, words: Tensor) -> Tensor:
    """The mean negative log-likelihood of words [B, T], and how fast states change."""
    changes = outputs.states[:, 1:] - outputs.states[:, :-1]
    return functional.cross_entropy(outputs.logits.flatten(0, 1), words.flatten()) + SLOWNESS * changes.square().mean()
