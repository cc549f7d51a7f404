"""DARTS+: stop before skip connections take over, or once the ranking of the operations stands still.

Liang et al., "DARTS+: Improved Differentiable Architecture Search with Early Stopping", 2019, arXiv:1909.06035. From
the paper, there is no reference code: criterion 1, the normal cell has two skip connections; criterion 1*, the ranking
of the operations that have weights is the same, on every edge, for 10 epochs. The genotype is that of the last epoch.
"""

from dnas.errors import UserError
from dnas.ranges import Whole
from dnas.search import stops
from dnas.search.discretise import strongest
from dnas.search.method import Method, Outcome, View


def method(*, skips: Whole = 2, still: Whole = 10) -> Method:
    """`skips`: in the normal cell, at which the search stops. `still`: epochs without a change in the ranking after
    which it does. 0 turns a criterion off."""

    if not skips and not still:
        raise UserError("Method 'darts_plus' never stops where skips and still are 0: set one of them, or use 'darts'.")

    def look(view: View) -> Outcome:
        found, ranking = stops.skips(strongest(view.space, view.mix)), stops.ranking(view.space, view.mix)
        before = view.notes[-1] if view.notes else {}
        unchanged = before["unchanged"] + 1 if before.get("ranking") == ranking else 0
        stop = (skips and found >= skips) or (still and unchanged >= still)
        notes = {"skips": found, "unchanged": unchanged, "ranking": ranking}
        return Outcome(notes, stop=view.total if stop else None)

    return Method(between_epochs=look)
