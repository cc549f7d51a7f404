"""RobustDARTS on CIFAR-10 in the space S4: noise or separable convolution.

    dnas search experiments/robust_darts_s4_cifar10.py --out runs/robust_darts_s4_cifar10
    dnas search experiments/robust_darts_s4_cifar10.py --method robust_darts:adaptive=true --out runs/s4_ada
    dnas retrain runs/robust_darts_s4_cifar10

Hardware: one GPU. Expected test error: early stopping 4.17 +- 0.21 %, adaptive 3.89 +- 0.67 %, DARTS 6.95 +- 0.18 %
(Zela et al., ICLR 2020, arXiv:1909.09656: means of 3 searches, as quoted by the ROME paper, table 1). Also quoted:
3.71 and 4.84 % (not checked), DARTS 7.20 % (DARTS-PT, arXiv:2108.04392, table 3). Not yet run by this project.
Search as in the scripts of automl/RobustDARTS: the settings of DARTS, second order (here the exact derivative),
eigenvalues every second epoch, tenfold weight decay up to 0.03. They ask for cutout, which their code turns off where
there is no drop-path, as here.
A step of `darts:order=second` costs about 3.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config


def config() -> Config:
    return Config(space="robust:name=s4", method="robust_darts", data="cifar10", seed=2)
