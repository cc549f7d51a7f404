"""Where a run computes: hosts, devices, and how seeds and batches are laid over them.

Devices form a mesh of two axes. Along "seed" every device has searches of its own; along "data" devices share the
batches of a search, whose program stays the one of a single device: statistics are those of the whole batch, and the
compiler inserts what has to be exchanged. A single device has no mesh. Several hosts run the same program, see
`join_hosts`; each has all data, and the first one writes.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.custom_batching import custom_vmap
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from dnas.errors import UserError
from dnas.types import Tree


def join_hosts() -> None:
    """Join the other processes of this run, where a launcher of scripts/ started several.

    $DNAS_COORDINATOR is "host:port" with $DNAS_PROCESSES and $DNAS_PROCESS_ID, or "auto" on SLURM and TPU pods.
    Call it before JAX computes anything. Errors: `UserError` if the others cannot be reached.
    """
    coordinator = os.environ.get("DNAS_COORDINATOR")
    if not coordinator or jax.distributed.is_initialized():
        return
    arguments: dict[str, Any] = {}
    if coordinator != "auto":
        try:
            numbers = [int(os.environ[name]) for name in ("DNAS_PROCESSES", "DNAS_PROCESS_ID")]
        except (KeyError, ValueError) as error:
            raise UserError(
                "DNAS_COORDINATOR is set, and so must be DNAS_PROCESSES and DNAS_PROCESS_ID, as numbers: "
                "start with scripts/launch_local.sh, or set DNAS_COORDINATOR=auto on SLURM and TPU pods."
            ) from error
        arguments = {"coordinator_address": coordinator, "num_processes": numbers[0], "process_id": numbers[1]}
    try:
        jax.distributed.initialize(**arguments)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"Cannot join the other processes of this run at {coordinator}: {reason}") from error


def is_first_host() -> bool:
    """Whether this process writes."""
    return jax.process_index() == 0


def wait(what: str) -> None:
    """Until all hosts have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def fetch(tree: Tree) -> Tree:
    """All values as NumPy arrays, on every host."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def agree(count: int, stop: bool) -> tuple[int, bool]:
    """What all hosts do next: the first one's count; stop if any of them was told to."""
    if jax.process_count() == 1:
        return count, stop
    counts, stops = multihost_utils.process_allgather(np.array([count, int(stop)])).T
    return int(counts[0]), bool(stops.any())


@dataclass(frozen=True)
class Layout:
    """How a run lies on the devices. `mesh` is None on a single device."""

    seeds: int
    mesh: Mesh | None = None

    @property
    def state(self) -> NamedSharding | None:
        """Of trees with the seeds as first axis."""
        return None if self.mesh is None else NamedSharding(self.mesh, P("seed"))

    def placed(self, shapes: Tree) -> Tree:
        """Shapes with the seeds as first axis, and where they lie: what `records.Run.restore` takes."""
        place = self.state
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), shapes)

    def replicate(self, tree: Tree) -> Tree:
        """Put a tree of host arrays on every device."""
        return jax.device_put(tree, None if self.mesh is None else NamedSharding(self.mesh, P()))

    @property
    def parts_of_batch(self) -> int:
        """Into how many a batch is split."""
        return 1 if self.mesh is None else self.mesh.shape["data"]

    def gathered(self, tree: Tree, axis: int) -> Tree:
        """Put batches on the devices of which every host has its own rows along `axis`, laid over the "data" axis."""
        if self.mesh is None:
            return jax.device_put(tree)
        place = NamedSharding(self.mesh, P(*(None,) * axis, "data"))
        return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(place, leaf), tree)

    def split_batch(self, tree: Tree) -> Tree:
        """Inside a program: lay the first axis of a batch, where a leaf has one, over the "data" axis."""
        if self.mesh is None or self.parts_of_batch == 1:
            return tree
        return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, P("data") if leaf.ndim else P()), tree)

    def largest(self, value: jax.Array) -> jax.Array:
        """Inside a program over seeds: the largest of what all seeds have, of which a program knows that it is one."""
        value = _largest(value)
        return value if self.mesh is None or self.mesh.shape["seed"] == 1 else jax.lax.pmax(value, "seed")

    def jit(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """`jax.jit` for a function whose results have the seeds as first axis."""
        if self.mesh is None:
            return jax.jit(function, **options)
        compiled = jax.jit(function, out_shardings=self.state, **options)

        def call(*args):
            with jax.set_mesh(self.mesh):
                return compiled(*args)

        return call

    def over_seeds(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Lift a function of one seed's tree, and of arguments that all seeds share, to trees with the seeds as first
        axis, in one program.

        vmap on an accelerator; on the CPU one after the other, because there vmap over kernels is slower than a loop.
        """
        split = 1 if self.mesh is None else self.mesh.shape["seed"]
        here = self.seeds // split

        def lifted(trees, *shared):
            if here == 1:
                one = function(jax.tree.map(lambda leaf: leaf[0], trees), *shared)
                return jax.tree.map(lambda leaf: leaf[None], one)
            if jax.default_backend() == "cpu":
                return jax.lax.map(lambda tree: function(tree, *shared), trees)
            return jax.vmap(lambda tree: function(tree, *shared))(trees)

        if split == 1:
            return lifted

        def spread(trees, *shared):
            places = (P("seed"), *[P() for _ in shared])
            return jax.shard_map(
                lifted, mesh=self.mesh, in_specs=places, out_specs=P("seed"), axis_names={"seed"}, check_vma=False
            )(trees, *shared)

        return spread


@custom_vmap
def _largest(value: jax.Array) -> jax.Array:
    """With vmap the largest over its axis."""
    return value


@_largest.def_vmap
def _over_axis(size: int, batched: list[bool], value: jax.Array) -> tuple[jax.Array, bool]:
    return value.max(0) if batched[0] else value, False


def layout(seeds: int, batch_size: int) -> Layout:
    """All devices, as many as possible along "seed", the rest along "data".

    Errors: `UserError` if a batch cannot be split evenly over what remains.
    """
    devices = jax.devices()
    if len(devices) == 1:
        return Layout(seeds)
    along_seed = math.gcd(seeds, len(devices))
    along_data = len(devices) // along_seed
    if batch_size % along_data:
        raise UserError(
            f"{len(devices)} devices share {seeds} seed(s): {along_data} devices for each batch of {batch_size}, which "
            f"is no multiple of {along_data}. Choose another batch size or number of seeds, or hide some devices."
        )
    return Layout(seeds, Mesh(np.array(devices).reshape(along_seed, along_data), ("seed", "data")))
