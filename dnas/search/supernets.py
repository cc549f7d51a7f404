"""What a method changes about the supernet. Space -> Space."""

from dnas.errors import UserError
from dnas.spaces.topology import Space, with_operation

AUXILIARY_SKIP = "auxiliary_skip"


def with_auxiliary_skip(space: Space) -> Space:
    """A skip connection of its own beside the candidates of every edge (DARTS-, section 3.2)."""
    if "skip_connect" not in space.operations:
        raise UserError(f"The space '{space.name}' has no skip connection to add to its edges: use an image space.")
    return with_operation(space, AUXILIARY_SKIP, space.operations["skip_connect"])
