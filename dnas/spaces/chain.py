"""Chains of blocks: every layer is one of several blocks, and nothing stands around them; published networks are these.

No paper. A genotype is the whole network, `chain(block=[conv3_c32_s2, mb3_e1_c16, ..., conv1_c1280])`; the words are
those of `architectures/blocks.py`, and any of them may stand in it, whatever the candidates of a search are.
"""

from dnas.architectures.topology import Space
from dnas.spaces import layers


def space(*, stages: str = "16x1+24x2s2+40x2s2", blocks: str = "mb3_e3+mb3_e6+mb5_e3+mb5_e6") -> Space:
    """The space with these stages, channels x layers and the stride of the first layer, and the candidates `a+b+c` for
    every layer."""
    return layers.space_of("chain", layers.rows_of(stages, [word.strip() for word in blocks.split("+")], 3))
