"""DARTS-: an auxiliary skip connection that fades out (Chu et al., ICLR 2021, arXiv:2009.01027).

    dnas search experiments/darts_minus.py --out runs/darts_minus
    dnas search experiments/darts_minus.py:s1 --out runs/darts_minus_s1
    dnas retrain runs/darts_minus

Hardware: one GPU. Not yet run by this project.
Search as in Meituan-AutoML/DARTS-: the settings of DARTS, first order, the coefficient falls linearly.
A step of `darts_minus` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10. Published cost: 0.4 GPU-days. Expected test error: 2.59 +- 0.08 % with 3.5 M parameters, as
    quoted by later papers.
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, searched and trained as in `darts.py:nasbench201`; their code has
    no settings for this space. Expected test accuracy of the found cell: 93.80 % on CIFAR-10, 71.53 % on CIFAR-100,
    45.12 % on ImageNet16-120 (as listed by paperswithcode); the best cell of the space has 94.37, 73.51 and 47.31 %.
s1, s2, s3, s4: on CIFAR-10 in the spaces of RobustDARTS (see `robust_darts.py`), as in the script of their code,
    without cutout. Expected: a cell without a majority of skip connections; the errors on S1 to S4 stand in the paper
    (section 4.4) and are not repeated here unchecked.
"""

from dnas.config import NASBENCH201_SEARCH, NASBENCH201_TRAINING, Config

SETTINGS = {
    "cifar10": Config(space="darts", method="darts_minus", data="cifar10", seed=2),
    "nasbench201": Config(
        space="nasbench201",
        method="darts_minus",
        data="cifar10",
        search=NASBENCH201_SEARCH,
        retrain=NASBENCH201_TRAINING,
    ),
    "s1": Config(space="robust:name=s1", method="darts_minus", data="cifar10"),
    "s2": Config(space="robust:name=s2", method="darts_minus", data="cifar10"),
    "s3": Config(space="robust:name=s3", method="darts_minus", data="cifar10"),
    "s4": Config(space="robust:name=s4", method="darts_minus", data="cifar10"),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
