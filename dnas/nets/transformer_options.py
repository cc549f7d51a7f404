"""What the parts of a transformer share: which options there are, masks of sizes, and what layers read beside x.

Axis letters: B batch, T tokens or patches, S those that are looked at, N texts, C embedding, I all heads, O options.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.architectures.topology import Paths
from dnas.keys import stream
from dnas.nets.tabular import weighted_sum
from dnas.types import Noise

KINDS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "relu2": lambda z: jnp.square(jax.nn.relu(z)),
}  # and "gated", which has weights of its own
MIXERS = {"attention": (True, False), "convolution": (False, True), "both": (True, True)}
PLACES = ("pre", "post")
SMALL = 0.02 * np.sqrt(3)  # bound of tables of positions, whose standard deviation is 0.02
HIDDEN = -1e30  # logit of what is not looked at; finite, so that a text without tokens gives numbers

Row = jax.Array | None  # [O] of a mix; None: there is one option


@dataclass(frozen=True)
class Plan:
    """What all networks of a space share.

    full, ratio: the largest embedding width and feed-forward ratio, or number of hidden values. head: width of a head;
    0: all heads together are `inner` wide, or where that is 0 `full`, however many they are. distance: the largest
    relative position that is told apart; 0: none is. rescaled: whether what an option has less of is multiplied by as
    much (AutoFormer's `scale`). kernel: tokens that a convolution reads, of images the side of a square of patches.
    dropout: of the embedding and of what every part adds.

    Of images: patch, pixels: sides of a patch, and of the images that positions are made for. positions: whether
    there are learnt ones. class_token, pool: "mean" of the patches, or the "class" token.
    """

    full: int
    ratio: float
    head: int = 64
    inner: int = 0
    distance: int = 0
    rescaled: bool = False
    kernel: int = 3
    dropout: float = 0.0
    patch: int = 16
    pixels: int = 224
    positions: bool = True
    class_token: bool = False
    pool: str = "mean"

    @property
    def together(self) -> int:
        """Width of all heads, where there is none of one."""
        return self.inner or self.full

    @property
    def places(self) -> int:
        """Relative positions that are told apart, and the one of whatever the class token looks at or is seen by."""
        return 2 * self.distance + 1 + self.class_token

    def places_of(self, differences: jax.Array) -> jax.Array:
        """Their numbers, by how far S is behind T."""
        return jnp.clip(differences, -self.distance, self.distance) + self.distance + self.class_token


class Around(NamedTuple):
    """What the layers read beside x. shown: which tokens are looked at, bool [B or 1, 1, T or 1, S]; None: all.
    present: 1 for tokens, 0 for padding [B, T, 1]; None: all are. distances: indices of relative positions [T, S], one
    array for each table. grid: rows and columns of patches, behind the class token; None: a text. causal: whether
    convolutions read earlier tokens only. memory: what the last layers of an encoder gave, the last one first
    [B, L, S, C]; remembered: which tokens of it are looked at, bool [B, 1, 1, S]."""

    shown: jax.Array | None = None
    present: jax.Array | None = None
    distances: tuple[jax.Array, ...] = ()
    grid: tuple[int, int] | None = None
    causal: bool = False
    memory: jax.Array | None = None
    remembered: jax.Array | None = None


class Past(NamedTuple):
    """What a layer of a decoder keeps of the tokens before, of N texts and at most T tokens: keys and values
    [N, T, I], and what its convolution reads of the last tokens [N, kernel - 1, C]; None: it has no such mixer."""

    keys: jax.Array | None
    values: jax.Array | None
    recent: jax.Array | None


def chosen(row: Row, values: Sequence[jax.Array], paths: Paths) -> jax.Array:
    """The sum of values of options by a row, or the only one."""
    return values[0] if row is None else weighted_sum(row, values, paths)


def first(counts: Sequence[int], of: int, dtype: Any, factors: Sequence[float] = ()) -> list[jax.Array]:
    """Masks [of], 1 in the first so many entries; factors: instead of 1."""
    return [
        jnp.asarray((np.arange(of) < count) * factor, dtype)
        for count, factor in zip(counts, factors or [1.0] * len(counts), strict=True)
    ]


def dropped(x: jax.Array, plan: Plan, noise: Noise | None, name: str) -> jax.Array:
    """Dropout of x [B, T, C], drawn for the largest embedding, so that a narrow one drops what the widest drops, and
    token by token, so that what is drawn does not depend on how far texts are filled up."""
    if noise is None or not plan.dropout:
        return x
    batch, count, channels = x.shape
    drawn = jax.random.uniform(stream(noise.key, name), (count, batch, plan.full), jnp.float32)
    drawn = drawn.swapaxes(0, 1)[..., :channels]
    return x * jnp.where(drawn >= plan.dropout, 1 / (1 - plan.dropout), 0).astype(x.dtype)
