"""DARTS-PT on CIFAR-10: the cells are chosen by what the supernet loses without an operation.

    dnas search experiments/darts_pt_cifar10.py --out runs/darts_pt_cifar10
    dnas search experiments/darts_pt_cifar10.py --method darts_pt:blank=true --out runs/darts_pt_blank_cifar10
    dnas search experiments/darts_pt_cifar10.py --method darts_pt:on=sdarts --out runs/sdarts_pt_cifar10
    dnas retrain runs/darts_pt_cifar10

Hardware: one GPU. Published cost: 0.8 GPU-days. Expected test error: 2.61 +- 0.08 % with 3.0 M parameters (Wang et al.,
ICLR 2021, arXiv:2108.04392, table 2; with fixed alphas 2.87 %, table 4). Not yet run by this project.
Search as in ruocwang/darts-pt: the settings of DARTS, first order, 50 epochs, seven operations without `none`, then 81
epochs of tuning with 17 decisions.
A step of `darts_pt` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config

OPERATIONS = "max_pool_3x3+avg_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"


def config() -> Config:
    return Config(space=f"darts:operations={OPERATIONS}", method="darts_pt", data="cifar10", seed=2)
