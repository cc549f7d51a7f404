"""The PyTorch side of `--work transformer` and `--work transformer-lm`: a supernet of entangled weights.

Weights are those of the largest option, of which a smaller one has the first entries; a mix weighs masks over them
(HAT, arXiv:2005.14187; TangleNAS, arXiv:2312.10440) and the values of functions. Written for PyTorch as one would
today: attention is `scaled_dot_product_attention`, but with embeddings of relative positions (Shaw et al. 2018,
arXiv:1803.02155), whose part in the values needs the shares.
Axis letters: B batch, T tokens, S those that are looked at, C embedding, H heads, D width of a head, F hidden values.
"""

from collections.abc import Callable, Sequence

import torch
from sides import FEED_FORWARDS, MIXERS, NORMS, TransformerSizes
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5
KERNEL, DROPOUT = 3, 0.1


def leading(counts: Sequence[int], of: int) -> Tensor:
    """Masks [counts, of]: 1 in the first so many entries."""
    return (torch.arange(of) < torch.tensor(counts)[:, None]).float()


class MaskedNorm(nn.Module):
    """Layer norm over the channels that are kept, as far as they are."""

    def __init__(self, channels: int):
        super().__init__()
        self.scale, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        share = kept / kept.sum()
        centred = x - (x @ share)[..., None]
        variance = (centred.square() @ share)[..., None]
        return (centred * (variance + EPSILON).rsqrt() * self.scale + self.bias) * kept


class Attention(nn.Module):
    def __init__(self, sizes: TransformerSizes, distance: int):
        super().__init__()
        self.head, self.spans = sizes.head, [sizes.head * count for count in sizes.heads]
        channels, self.inner, self.distance = max(sizes.widths), max(self.spans), distance
        self.qkv, self.project = nn.Linear(channels, 3 * self.inner), nn.Linear(self.inner, channels)
        self.register_buffer("kept", leading(self.spans, self.inner))
        if distance:
            self.keys, self.values = (nn.Parameter(0.02 * torch.randn(2 * distance + 1, self.head)) for _ in range(2))

    def forward(self, h: Tensor, row: Tensor, there: Tensor | None) -> Tensor:
        """h [B, T, C], row: of the heads, there [B, 1, 1, T]; None: a token looks at those before it."""
        parts = [self.qkv.bias[: 3 * span].view(3, span) for span in self.spans]  # of fewer heads: its first entries
        padded = [functional.pad(part, (0, self.inner - part.shape[1])) for part in parts]
        bias = sum(weight * part for weight, part in zip(row, padded, strict=True))
        qkv = functional.linear(h, self.qkv.weight, bias.flatten())
        q, k, v = qkv.unflatten(-1, (3, -1, self.head)).permute(2, 0, 3, 1, 4)  # [B, H, T, D] each
        if self.distance:
            found = self._relative(q, k, v, there)
        else:
            found = functional.scaled_dot_product_attention(q, k, v, there, is_causal=there is None)
        return self.project(found.transpose(1, 2).flatten(2) * (row @ self.kept))

    def _relative(self, q: Tensor, k: Tensor, v: Tensor, there: Tensor | None) -> Tensor:
        at = torch.arange(q.shape[2], device=q.device)
        places = (at - at[:, None]).clamp(-self.distance, self.distance) + self.distance
        logits = q @ k.transpose(-1, -2) + torch.einsum("bhtd,tsd->bhts", q, self.keys[places])
        shown = (at <= at[:, None]) if there is None else there
        shares = (logits * self.head**-0.5).masked_fill(~shown, -1e30).softmax(-1)
        return shares @ v + torch.einsum("bhts,tsd->bhtd", shares, self.values[places])


class Convolution(nn.Module):
    """Product, depthwise convolution over time, GELU, product."""

    def __init__(self, channels: int, causal: bool):
        super().__init__()
        self.enter, self.leave = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.over_time = nn.Conv1d(channels, channels, KERNEL, groups=channels, bias=False)
        self.padding = (KERNEL - 1, 0) if causal else (KERNEL // 2, KERNEL // 2)

    def forward(self, h: Tensor, kept: Tensor, present: Tensor | None) -> Tensor:
        """h [B, T, C], present [B, T, 1]: 0 for padding."""
        u = self.enter(h) * kept
        u = u if present is None else u * present
        y = self.over_time(functional.pad(u.transpose(1, 2), self.padding)).transpose(1, 2)
        return self.leave(functional.gelu(y))


class FeedForward(nn.Module):
    def __init__(self, sizes: TransformerSizes):
        super().__init__()
        channels, hidden = max(sizes.widths), max(sizes.widths) * max(sizes.ratios)
        self.enter, self.gate = nn.Linear(channels, hidden), nn.Linear(channels, hidden)
        self.leave = nn.Linear(hidden, channels)
        masks = [leading([width * ratio for width in sizes.widths], hidden) for ratio in sizes.ratios]
        self.register_buffer("kept", torch.stack(masks))  # [ratios, widths, F]

    def forward(self, h: Tensor, ratio: Tensor, kind: Tensor, width: Tensor) -> Tensor:
        z = self.enter(h)
        relu, gelu = z.relu(), functional.gelu(z)
        y = kind[0] * relu + kind[1] * gelu + kind[2] * relu.square() + kind[3] * gelu * self.gate(h)
        return self.leave(y * (ratio @ (width @ self.kept)))


class Layer(nn.Module):
    def __init__(self, sizes: TransformerSizes, distance: int, causal: bool):
        super().__init__()
        channels = max(sizes.widths)
        self.attention, self.convolution = Attention(sizes, distance), Convolution(channels, causal)
        self.feed_forward = FeedForward(sizes)
        self.mixer_norm, self.feed_forward_norm = MaskedNorm(channels), MaskedNorm(channels)

    def forward(self, x: Tensor, kept: Tensor, width: Tensor, rows: dict[str, Tensor], there: Tensor | None) -> Tensor:
        """x [B, T, C], kept [C]: mask of the embedding, rows: of the mix, there bool [B, T]: which are no padding."""
        shown = None if there is None else there[:, None, None]
        present = None if there is None else there[..., None].to(x.dtype)
        pre, post = rows["norm"]

        def added(norm: MaskedNorm, part: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
            h = pre * norm(x, kept) + post * x
            z = x + functional.dropout(part(h) * kept, DROPOUT, self.training)
            return pre * z + post * norm(z, kept)

        def mixed(h: Tensor) -> Tensor:
            attention, convolution, both = rows["mixer"]
            attended, convolved = self.attention(h, rows["heads"], shown), self.convolution(h, kept, present)
            return (attention + both) * attended + (convolution + both) * convolved

        x = added(self.mixer_norm, mixed, x)
        ratio, kind = rows["ratio"], rows["feed_forward"]
        return added(self.feed_forward_norm, lambda h: self.feed_forward(h, ratio, kind, width), x)


class Transformer(nn.Module):
    """An encoder of sentences, with token 0 for padding, or a decoder, whose output is tied to its embedding.

    classes: 0: a decoder. distance: largest relative position that is told apart; 0: none is.
    """

    def __init__(self, sizes: TransformerSizes, vocabulary: int, classes: int, distance: int, longest: int):
        super().__init__()
        channels, layers, self.causal = max(sizes.widths), max(sizes.depths), not classes
        self.embedding = nn.Embedding(vocabulary, channels)
        nn.init.normal_(self.embedding.weight, std=channels**-0.5)
        self.layers = nn.ModuleList(Layer(sizes, distance, self.causal) for _ in range(layers))
        self.norm, self.depths = MaskedNorm(channels), sizes.depths
        self.head = nn.Linear(channels, classes or vocabulary)
        if self.causal:
            self.head.weight = self.embedding.weight
        angles = torch.arange(longest)[:, None] * 10_000.0 ** (-torch.arange(0, channels, 2) / channels)
        self.register_buffer("waves", torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :channels])
        self.register_buffer("kept", leading(sizes.widths, channels))
        once = {"width": (1, len(sizes.widths)), "depth": (1, len(sizes.depths))}
        options = {"heads": sizes.heads, "ratio": sizes.ratios, "feed_forward": FEED_FORWARDS}
        options |= {"mixer": MIXERS, "norm": NORMS}
        self.layered = tuple(options)
        self.mix_shapes = once | {kind: (layers, len(found)) for kind, found in options.items()}

    def forward(self, tokens: Tensor, mix: dict[str, Tensor]) -> Tensor:
        """tokens [B, T] -> logits [B, classes], of a decoder [B, T, vocabulary]."""
        width = mix["width"][0]
        kept, there = width @ self.kept, None if self.causal else tokens != 0
        places = slice(tokens.shape[1]) if there is None else (there.cumsum(1) - 1).clamp(min=0)
        root = self.embedding.embedding_dim**0.5
        x = functional.dropout((self.embedding(tokens) * root + self.waves[places]) * kept, DROPOUT, self.training)
        ends = []
        for number, layer in enumerate(self.layers):
            rows = {kind: mix[kind][number] for kind in self.layered}
            x = layer(x, kept, width, rows, there)
            if number + 1 in self.depths:
                pre, post = rows["norm"]
                ends.append(pre * self.norm(x, kept) + post * x)
        x = sum(weight * end for weight, end in zip(mix["depth"][0], ends, strict=True))
        if there is None:
            return self.head(x)
        present = there[..., None].to(x.dtype)
        return self.head((x * present).sum(1) / present.sum(1).clamp(min=1))


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy with classes [B], or with words [B, T]."""
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())
