"""Lambda-DARTS: weights are trained such that all cells want the same operations.

    w steps by the derivative of L - weight(epoch) x alignment,   weight from 0 to `weight`, linear in the epochs
    alignment = mean over pairs of cells of the cosine between the gradients of their own copies of the mix

One mix for all cells converges where the softmax saturates, and the cells nearest the output decide there. Movahedi,
Adabinejad, Imani, Keshavarz, Dehghani, Shakery and Araabi, "Lambda-DARTS: Mitigating Performance Collapse by
Harmonizing Operation Selection among Cells", ICLR 2023, arXiv:2210.07998. Reference code: dr-faustus/Lambda-DARTS,
followed in the schedule, in that cells that reduce are not compared, and in that the derivative counts before clipping.
Unlike there, it is exact, a forward-over-reverse product, where theirs is a central difference along the mix; and the
running statistics see the first of its passes only.
"""

from dataclasses import replace

from dnas.architectures.topology import Space
from dnas.config import SearchConfig
from dnas.errors import UserError, unknown
from dnas.ranges import Amount
from dnas.search import relax
from dnas.search.alignment import MEASURES, aligning
from dnas.search.method import Method


def method(*, weight: Amount = 0.125, measure: str = "cosine") -> Method:
    """`weight`: of the alignment in the last epoch. `measure`: "cosine", or "sign", sum g h / sum |g| |h|."""
    if measure not in MEASURES:
        raise unknown("measure of method 'lambda_darts':", measure, MEASURES)

    def of_cells(method: Method, space: Space, config: SearchConfig) -> Method:
        order = space.sequence(config.cells) if "cells" in space.sizes else ()
        numbers = {kind: [n for n, name in enumerate(order) if name == kind] for kind in space.cells}
        compared = {k: ns for k, ns in numbers.items() if len(ns) > 1 and not space.cells[k].reduction}
        if not compared:
            raise UserError(
                f"Method 'lambda_darts' compares cells of a kind that do not reduce, and '{space.name}' has no two of "
                f"them with search.cells {config.cells}: choose more cells, or a space of cells."
            )
        return replace(method, weight_gradient=aligning(relax.linear(0.0, weight), compared, len(order), measure))

    return Method(adapt=of_cells)
