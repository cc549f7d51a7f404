"""Candidate operations by name: `a+b` as the settings of spaces write them."""

import jax

from dnas.architectures.topology import Norm
from dnas.errors import UserError, unknown
from dnas.nets.functional import Deferred, takes_noise
from dnas.nets.ops import OPERATIONS


def named(text: str) -> tuple[str, ...]:
    """`"none+skip_connect"` -> `("none", "skip_connect")`, the columns of a mix.

    Errors: `UserError` for an unknown or repeated name, and where nothing flows through any.
    """
    names = tuple(name.strip() for name in text.split("+"))
    for name in names:
        if name not in OPERATIONS:
            raise unknown("operation", name, OPERATIONS)
        if names.count(name) > 1:
            raise UserError(f"The operation '{name}' stands twice in '{text}': name each once.")
    if all(_built(name) is None or takes_noise(_built(name)) for name in names):
        raise UserError(f"Nothing flows through any of the operations '{text}': add one, as in 'none+skip_connect'.")
    return names


def random(names: tuple[str, ...]) -> frozenset[str]:
    """Those that take `types.Noise` beside x: `topology.Space.random`."""
    return frozenset(name for name in names if takes_noise(_built(name)))


def _built(name: str):
    return OPERATIONS[name](2, 1, Norm(affine=False, pools=False), rngs=Deferred(params=jax.random.key(0)))
