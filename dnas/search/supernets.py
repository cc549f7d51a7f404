"""What a method asks of the supernet: (space) -> space."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
from flax import nnx

from dnas.architectures.topology import Norm, Space, with_operation
from dnas.errors import UserError
from dnas.keys import stream
from dnas.types import Noise

AUXILIARY_SKIP = "auxiliary_skip"


def partial_channels(parts: int) -> Callable[[Space], Space]:
    """The first 1/parts of the channels pass through the operations (PC-DARTS, section 3.2)."""
    if parts < 1:
        raise UserError(
            f"The setting 'partial' is {parts}, but 1/partial of the channels takes a number of at least 1."
        )
    return lambda space: replace(space, partial_channels=parts)


def entangled(space: Space) -> Space:
    """Operations of an edge that differ in kernel size only share the largest one's weights (TangleNAS, section 3)."""
    return replace(space, entangled=True)


def with_auxiliary_skip(space: Space) -> Space:
    """A skip connection of its own beside the candidates of every edge (DARTS-, section 3.2)."""
    if "skip_connect" not in space.operations:
        raise UserError(f"The space '{space.name}' has no skip connection to add to its edges: use an image space.")
    return with_operation(space, AUXILIARY_SKIP, space.operations["skip_connect"])


def dropped_skips(space: Space) -> Space:
    """Skip connections of stride 1 drop single values at the method's rate, and scale the others (P-DARTS, 3.3)."""
    if "skip_connect" not in space.operations:
        raise UserError(f"This method drops skip connections, and the space '{space.name}' has no 'skip_connect'.")
    build = space.operations["skip_connect"]

    def skip_connect(channels: int, stride: int, norm: Norm, *, rngs: nnx.Rngs) -> nnx.Module:
        return DroppedSkip(build(channels, stride, norm, rngs=rngs), stride == 1)

    operations = {**space.operations, "skip_connect": skip_connect}
    return replace(space, operations=operations, random=space.random | {"skip_connect"})


class DroppedSkip(nnx.Module):
    """A skip connection, with dropout behind it if `drops`."""

    def __init__(self, skip: nnx.Module, drops: bool):
        self.skip, self.drops = skip, drops

    def __call__(self, x: jax.Array, noise: Noise | None = None) -> jax.Array:
        y = self.skip(x)
        if noise is None or not self.drops:
            return y
        kept = 1 - jnp.asarray(noise.rate, y.dtype)
        return jnp.where(jax.random.bernoulli(stream(noise.key, "skip"), kept, y.shape), y / kept, 0)
