"""OLES: DARTS with early stopping of operations (Jiang et al., NeurIPS 2023, OpenReview yAOwkf4FyL).

    dnas search experiments/oles.py --out runs/oles
    dnas search experiments/oles.py:nasbench201 --out runs/oles_nasbench201
    dnas retrain runs/oles

Hardware: one GPU. Not yet run by this project.
A step of `oles` costs about 1.3 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10 in the DARTS space, with the settings of first-order DARTS. Published cost: 0.4 GPU-days. Expected
    test error: 2.30 %, mean 2.41 +- 0.11 % (as quoted by others; not checked against the paper).
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, with the settings of DARTS as in D-X-Y/AutoDL-Projects, but alphas
    first, as in the code of OLES. Expected test accuracy of the found cell: the paper has a table for this space,
    which is not quoted here because it was not at hand; the best cell has 94.37 %, that of DARTS 54.30 %.
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig, WeightConfig

SETTINGS = {
    "cifar10": Config(space="darts", method="oles", data="cifar10"),
    "nasbench201": Config(
        space="nasbench201",
        method="oles",
        data="cifar10",
        search=SearchConfig(
            epochs=50, cells=5, channels=16, weights=WeightConfig(optimiser="sgd:nesterov=true", decay=5e-4)
        ),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
