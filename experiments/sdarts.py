"""SDARTS-ADV: weights are trained at the worst mix nearby (Chen and Hsieh, ICML 2020, arXiv:2002.05283).

    dnas search experiments/sdarts.py --out runs/sdarts
    dnas search experiments/sdarts.py --method sdarts:attack=random --out runs/sdarts_rs
    dnas search experiments/sdarts.py:s1 --out runs/sdarts_s1
    dnas retrain runs/sdarts

Hardware: one GPU. Not yet run by this project.
Search as in xiangning-chen/SmoothDARTS: the settings of DARTS, first order, the radius grows from 0.03 to 0.3.
A step of `sdarts` costs about 4.1 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10, seven operations without `none`. Published cost: 1.3 GPU-days. Expected test error: 2.61 +- 0.02
    % with 3.3 M parameters, as quoted by later papers.
s1, s2, s3, s4: on CIFAR-10 in the spaces of RobustDARTS (see `robust_darts.py`). Expected: the errors on S1 to S4
    stand in the paper and are not repeated here unchecked.
"""

from dnas.config import Config

OPERATIONS = "max_pool_3x3+avg_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"
SETTINGS = {
    "cifar10": Config(space=f"darts:operations={OPERATIONS}", method="sdarts", data="cifar10", seed=2),
    "s1": Config(space="robust:name=s1", method="sdarts", data="cifar10", seed=2),
    "s2": Config(space="robust:name=s2", method="sdarts", data="cifar10", seed=2),
    "s3": Config(space="robust:name=s3", method="sdarts", data="cifar10", seed=2),
    "s4": Config(space="robust:name=s4", method="sdarts", data="cifar10", seed=2),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
