"""DARTS-PT: cells are chosen by what the supernet loses without an operation (Wang et al., ICLR 2021).

    dnas search experiments/darts_pt.py --out runs/darts_pt
    dnas search experiments/darts_pt.py --method darts_pt:blank=true --out runs/darts_pt_blank
    dnas search experiments/darts_pt.py --method darts_pt:on=sdarts --out runs/sdarts_pt
    dnas search experiments/darts_pt.py:s1 --method darts_pt:blank=true --out runs/darts_pt_blank_s1
    dnas retrain runs/darts_pt

Hardware: one GPU. Paper: arXiv:2108.04392. Not yet run by this project.
Search as in ruocwang/darts-pt: the settings of DARTS, first order, then tuning between decisions.
A step of `darts_pt` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10: 50 epochs, seven operations without `none`, then 81 epochs of tuning with 17 decisions. Published
    cost: 0.8 GPU-days. Expected test error: 2.61 +- 0.08 % with 3.0 M parameters (table 2; with fixed alphas 2.87 %,
    table 4).
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, where DARTS itself collapses: 100 epochs of DARTS, then 26 epochs
    of tuning with 6 decisions; training as in the benchmark's paper. Expected test accuracy of the found cell: 88.11 %
    on CIFAR-10 (table 4; 88.2 % in a run of its authors, issue 6 of ruocwang/darts-pt), where DARTS has 54.30 %.
s1, s2, s3, s4: on CIFAR-10 in the spaces of RobustDARTS (see `robust_darts.py`): 50 epochs, then an operation is
    decided every five. Expected test error: 3.50, 2.79, 2.49 and 2.64 %, with fixed alphas 2.86, 2.59, 2.52 and 2.58
    %, DARTS 3.84, 4.85, 3.34 and 7.20 % (table 3).
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig

OPERATIONS = "max_pool_3x3+avg_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"
SETTINGS = {
    "cifar10": Config(space=f"darts:operations={OPERATIONS}", method="darts_pt", data="cifar10", seed=2),
    "nasbench201": Config(
        space="nasbench201",
        method="darts_pt",
        data="cifar10",
        search=SearchConfig(epochs=100, cells=5, channels=16),
        retrain=NASBENCH201_TRAINING,
    ),
    "s1": Config(space="robust:name=s1", method="darts_pt", data="cifar10", seed=2),
    "s2": Config(space="robust:name=s2", method="darts_pt", data="cifar10", seed=2),
    "s3": Config(space="robust:name=s3", method="darts_pt", data="cifar10", seed=2),
    "s4": Config(space="robust:name=s4", method="darts_pt", data="cifar10", seed=2),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
