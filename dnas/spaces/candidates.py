"""Candidate operations by name: `a+b` as the settings of spaces write them."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from dnas.architectures.topology import Norm
from dnas.errors import UserError, unknown
from dnas.nets.functional import Deferred, takes_noise
from dnas.nets.ops import OPERATIONS


def named(text: str, known: Mapping[str, Callable[..., Any]] = OPERATIONS) -> tuple[str, ...]:
    """`"none+skip_connect"` -> `("none", "skip_connect")`, the columns of a mix. known: what may be named.

    Errors: `UserError` for an unknown or repeated name, and where nothing flows through any.
    """
    names = tuple(name.strip() for name in text.split("+"))
    for name in names:
        if name not in known:
            raise unknown("operation", name, known)
        if names.count(name) > 1:
            raise UserError(f"The operation '{name}' stands twice in '{text}': name each once.")
    built = {name: _built(build) for name, build in known.items()}
    flowing = [name for name, operation in built.items() if operation is not None and not takes_noise(operation)]
    if not {*names} & {*flowing}:
        raise UserError(f"Nothing flows through any of the operations '{text}': add one, as in 'none+{flowing[0]}'.")
    return names


def random(names: tuple[str, ...]) -> frozenset[str]:
    """Those that take `types.Noise` beside x: `topology.Space.random`."""
    return frozenset(name for name in names if takes_noise(_built(OPERATIONS[name])))


def _built(build: Callable[..., Any]):
    return build(2, 1, Norm(affine=False, pools=False), rngs=Deferred(params=jax.random.key(0)))
