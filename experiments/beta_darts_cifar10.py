"""beta-DARTS on CIFAR-10: a decay of the softmaxed alphas.

    dnas search experiments/beta_darts_cifar10.py --out runs/beta_darts_cifar10
    dnas retrain runs/beta_darts_cifar10

Hardware: one GPU. Published cost: 0.4 GPU-days. Expected test error: 2.53 % (Ye et al., CVPR 2022, arXiv:2203.01665, as
listed by paperswithcode). Not yet run by this project.
Search with the settings of DARTS, first order; the weight of the penalty rises to 50 over the search. How the tables of
the two kinds of cells are combined their code leaves open: here the mean is over the edges of both.
A step of `beta_darts` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config


def config() -> Config:
    return Config(space="darts", method="beta_darts", data="cifar10", seed=2)
