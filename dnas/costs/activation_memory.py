"""activation_memory: bytes of what all convolutions and linear layers put out, for one input.

Radosavovic et al. 2020 (RegNet), arXiv:2003.13678, section 3.4: memory-bound hardware takes as long as these numbers
are many. Training keeps about as much for every example of a batch. It is not the most that is alive at once.
"""

from typing import Annotated

from dnas.costs.counted import counted
from dnas.costs.protocol import Build
from dnas.ranges import Range


def cost(*, bits: Annotated[int, Range(1, 64)] = 32) -> Build:
    """`bits` of one number."""
    return counted("activation_memory", "activations", "bytes", bits / 8)
