"""RobustDARTS on CIFAR-10 in the space S3: the search stops before the validation loss becomes sharp.

    dnas search experiments/robust_darts_s3_cifar10.py --out runs/robust_darts_s3_cifar10
    dnas search experiments/robust_darts_s3_cifar10.py --space robust:name=s1 --out runs/robust_darts_s1_cifar10
    dnas search experiments/robust_darts_s3_cifar10.py --method robust_darts:adaptive=true --out runs/robust_darts_ada
    dnas retrain runs/robust_darts_s3_cifar10

Hardware: one GPU. Expected test error on S1, S2, S3, S4: early stopping 3.01, 3.26, 2.74, 3.71 %, adaptive 3.10, 3.35,
2.59, 4.84 %, DARTS 3.84, 4.85, 3.34, 7.20 % (Zela et al., ICLR 2020, arXiv:1909.09656; not checked against the paper's
tables). Not yet run by this project.
Search as in the scripts of automl/RobustDARTS: the settings of DARTS, second order (here the exact derivative),
eigenvalues every second epoch, tenfold weight decay up to 0.03. They ask for cutout, which their code turns off where
there is no drop-path, as here.
"""

from dnas.config import Config


def config() -> Config:
    return Config(space="robust:name=s3", method="robust_darts", data="cifar10", seed=2)
