"""beta-DARTS: a decay of the softmaxed alphas, which keeps their variance small while the search is young.

    F + w(epoch) mean_edges log sum_o exp(alpha_o),     w from 0 to `weight`, linear in the epochs

Ye et al., "beta-DARTS: Beta-Decay Regularization for Differentiable Architecture Search", CVPR 2022, arXiv:2203.01665.
Reference code: Sunshine-Ye/Beta-DARTS, whose schedule is fixed to 100 epochs where ours follows the search. With
several kinds of cells, which their code leaves open, the mean is over the edges of all.
"""

from dnas.ranges import Amount
from dnas.search import penalty
from dnas.search.method import Method


def method(*, weight: Amount = 50.0) -> Method:
    """`weight`: of the penalty after the last epoch."""
    return Method(penalty=penalty.beta_decay(weight))
