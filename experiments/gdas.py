"""GDAS: one sampled operation per edge (Dong and Yang, CVPR 2019, arXiv:1910.04465).

    dnas search experiments/gdas.py --out runs/gdas
    dnas search experiments/gdas.py:nasbench201 --out runs/gdas_nasbench201
    dnas retrain runs/gdas

Hardware: one GPU. Not yet run by this project.
250 epochs, Nesterov momentum, weights before alphas.
A step of `gdas` costs about 0.6 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10 in the DARTS space, batches of 256 and a temperature from 10 to 0.1 as in the code. Their
    reduction cell can be fixed by hand (FRC, 2.82 %); here both cells are searched. Published cost: 0.21 GPU-days.
    Expected test error: 2.93 % with 3.4 M parameters (as quoted by DARTS-PT, arXiv:2108.04392, table 2).
nasbench201: on CIFAR-10 in the NAS-Bench-201 space. Search as in D-X-Y/AutoDL-Projects: weight decay 5e-4, and its
    gradient of operations that are not selected. Expected test accuracy of the found cell: 93.61 +- 0.09 % on CIFAR-10
    (Dong and Yang, ICLR 2020, arXiv:2001.00326, as quoted by later papers), where the best cell of the space has 94.37
    %.
"""

from dataclasses import replace

from dnas.config import NASBENCH201_SEARCH, NASBENCH201_TRAINING, Config, SearchConfig, WeightConfig

SETTINGS = {
    "cifar10": Config(
        space="darts",
        method="gdas",
        data="cifar10",
        search=SearchConfig(
            epochs=250,
            batch_size=256,
            order="weights_first",
            weights=WeightConfig(optimiser="sgd:nesterov=true"),
        ),
    ),
    "nasbench201": Config(
        space="nasbench201",
        method="gdas",
        data="cifar10",
        search=replace(NASBENCH201_SEARCH, epochs=250),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
