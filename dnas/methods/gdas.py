"""GDAS: one operation per edge, sampled by Gumbel-max and trained through its concrete relaxation.

    p = softmax((log softmax(alpha) + Gumbel noise) / temperature),   mix = onehot(argmax p) - stop(p) + p

Dong and Yang, "Searching for a Robust Neural Architecture in Four GPU Hours", CVPR 2019, arXiv:1910.04465. Reference
code: D-X-Y/AutoDL-Projects `search_model_gdas.py`. One sample serves all cells of a forward pass; the temperature falls
linearly over the epochs. The code computes the selected operation only, so the derivative of the others' weights is
not at hand. `unselected`: "scalars", as its default, adds those weights, which are zero, to the edge's output, so that
their derivative is the sum of the output's; "ignored", as its variant v1, leaves it zero; "computed" computes all
operations and has the derivative of the equation. Several seeds as one vmapped program compute all operations anyhow.
"""

from dataclasses import replace

from dnas.architectures.topology import Paths
from dnas.errors import unknown
from dnas.ranges import Temperature
from dnas.search import relax
from dnas.search.method import Method


def method(*, hottest: Temperature = 10.0, coldest: Temperature = 0.1, unselected: str = "scalars") -> Method:
    """The temperature of the first and of the last epoch, and what operations that are not selected contribute."""
    paths: dict[str, Paths] = {"scalars": "one_with_scalars", "ignored": "one", "computed": "all"}
    if unselected not in paths:
        raise unknown("value of 'unselected' of method 'gdas':", unselected, paths)
    return Method(
        relax=relax.hard_concrete(relax.linear(hottest, coldest)),
        evaluation_mix=relax.keyless(relax.softmax),
        supernet=lambda space: replace(space, paths=paths[unselected]),
        single_path=True,
    )
