"""Zero-Cost-PT: as DARTS-PT, but nothing is trained, and what is lost is a zero-cost score of the whole supernet.

    operation of an edge = argmin_o score of the supernet without o

Xiang, Dudziak, Abdelfattah, Chau, Lane and Wen, "Zero-Cost Operation Scoring in Differentiable Architecture Search",
arXiv:2106.06799. Reference code: zerocostptnas/zerocost_operation_score. As in the code: edges in random
order, a new training batch for every decision, then two inputs of every node; each epoch makes one proposal, and of the
proposals that with the best sum over `validations` batches, the same for all, is found. So `search.epochs` are the
proposals, 10 in the paper, and the genotype of an epoch is the best so far. Unlike there, all weigh the same before
anything is decided, and a proposal is scored with the supernet's weights, not with new ones. What the code calls
"jacob" is `nwot`, there in evaluation mode, here normalised by the batch, as all proxies.
"""

import numpy as np

from dnas import find
from dnas.architectures.genotype import as_mix, from_json, to_json
from dnas.ranges import Count
from dnas.search import projection, relax
from dnas.search.method import Method, Outcome, Phase, View
from dnas.types import Mix


def method(*, proxy: str = "jacob_cov", validations: Count = 100) -> Method:
    """`proxy`: the score, see `dnas list`; `validations`: batches on which a proposal is scored."""

    def look(view: View) -> Outcome:
        genotype = projection.remaining(view.space, proposal(view, proxy, validations))
        mask = as_mix(genotype, view.space)
        known = [(from_json(notes["proposal"]), number_of(notes["proposal_score"])) for notes in view.notes]
        if genotype in dict(known):
            value = dict(known)[genotype]
        else:
            value = sum(view.score(mask, number)[proxy] for number in range(validations))
        best = not known or value > max(other for _, other in known)
        notes = {"proposal": to_json(genotype), "proposal_score": value if np.isfinite(value) else None}
        return Outcome(notes, mask=mask if best else None)

    return Method(
        alphas=relax.uniform,
        relax=relax.simplex,
        select=projection.remaining,
        hypergrad=None,
        phases=lambda space, config: (Phase(config, trains=False),),
        between_epochs=look,
        masks=True,
        prunes_within=True,
        proxies={proxy: find.resolve("proxy", proxy)},
    )


def number_of(noted: float | None) -> float:
    """What is no number has no place in notes."""
    return -np.inf if noted is None else noted


def proposal(view: View, proxy: str, validations: int) -> Mix:
    """The mask {kind: [E, O]} after all decisions, the first of which is made on batch `validations` of those of all
    proposals: before it are those that proposals are compared on."""
    plans = projection.projections(view.space, view.seed, f"proposal {view.epoch}")
    decisions = max(map(len, plans.values()))
    mask = {kind: np.ones(shape) for kind, shape in view.space.mix_shapes.items()}
    for decision in range(decisions):
        number = validations + (view.epoch - 1) * decisions + decision

        def damage(mix: Mix, number=number) -> float:
            return -view.score(mix, number)[proxy]

        for kind, plan in plans.items():
            if decision < len(plan):
                mix = relax.masked(view.alphas, mask)
                cell = view.space.cells[kind]
                mask = projection.project(mix, mask, kind, cell, plan[decision], damage, view.fits)
    return mask
