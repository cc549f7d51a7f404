"""RobustDARTS: DARTS with a watch on the curvature, in the spaces S1 to S4 (Zela et al., ICLR 2020, arXiv:1909.09656).

    dnas search experiments/robust_darts.py:s1 --out runs/robust_darts_s1
    dnas search experiments/robust_darts.py:s1 --method robust_darts:adaptive=true --out runs/s1_ada
    dnas retrain runs/robust_darts_s1

Hardware: one GPU. Not yet run by this project. All on CIFAR-10. Search as in the scripts of automl/RobustDARTS: the
settings of DARTS, second order (here the exact derivative), eigenvalues every second epoch, tenfold weight decay up to
0.03. They ask for cutout, which their code turns off where there is no drop-path, as here. Expected test errors: means
of 3 searches, as quoted by the ROME paper, table 1. Also quoted: the numbers after "or" (not checked), those of DARTS
by DARTS-PT (arXiv:2108.04392, table 3).
A step of `darts:order=second` costs about 3.0 x one of first-order DARTS (benchmarks/results/step_cost.json).

s1: two pre-selected operations on each edge. Expected: early stopping 3.05 +- 0.07 % or 3.01 %, adaptive 3.03 +- 0.08
    % or 3.10 %, DARTS 4.66 +- 0.71 % or 3.84 %.
s2: skip connection or separable convolution. Expected: early stopping 3.41 +- 0.14 % or 3.26 %, adaptive 3.59 +- 0.31
    % or 3.35 %, DARTS 4.42 +- 0.40 % or 4.85 %.
s3: nothing, skip connection or separable convolution. Expected: early stopping 3.71 +- 1.14 % or 2.74 %, adaptive 2.99
    +- 0.34 % or 2.59 %, DARTS 4.12 +- 0.85 % or 3.34 %.
s4: noise or separable convolution. Expected: early stopping 4.17 +- 0.21 % or 3.71 %, adaptive 3.89 +- 0.67 % or 4.84
    %, DARTS 6.95 +- 0.18 % or 7.20 %.
"""

from dnas.config import Config

SETTINGS = {
    "s1": Config(space="robust:name=s1", method="robust_darts", data="cifar10", seed=2),
    "s2": Config(space="robust:name=s2", method="robust_darts", data="cifar10", seed=2),
    "s3": Config(space="robust:name=s3", method="robust_darts", data="cifar10", seed=2),
    "s4": Config(space="robust:name=s4", method="robust_darts", data="cifar10", seed=2),
}


def config(setting: str = "s1") -> Config:
    return SETTINGS[setting]
