"""DARTS-PT on CIFAR-10 in the space S3: nothing, skip connection or separable convolution.

    dnas search experiments/darts_pt_s3_cifar10.py --out runs/darts_pt_s3_cifar10
    dnas search experiments/darts_pt_s3_cifar10.py --method darts_pt:blank=true --out runs/darts_pt_blank_s3_cifar10
    dnas retrain runs/darts_pt_s3_cifar10

Hardware: one GPU. Expected test error: 2.49 %, with fixed alphas 2.52 %, DARTS 3.34 % (Wang et al., ICLR 2021,
arXiv:2108.04392, table 3). Not yet run by this project.
Search as in ruocwang/darts-pt: the settings of DARTS, first order, 50 epochs, then an operation is decided every five.
A step of `darts_pt` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config


def config() -> Config:
    return Config(space="robust:name=s3", method="darts_pt", data="cifar10", seed=2)
