"""SNAS: sampled operations at a falling temperature, on one level (Xie et al., ICLR 2019, arXiv:1812.09926).

    dnas search experiments/snas.py --out runs/snas
    dnas search experiments/snas.py:nasbench201 --out runs/snas_nasbench201
    dnas retrain runs/snas

Hardware: one GPU. Not yet run by this project. 150 epochs on one level, temperature from 1 to 0.03. 1,000 images are
kept to watch the accuracy; SNAS-Series trains on all.
A step of `snas` costs about 0.6 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10 in the DARTS space, with its penalty of costly operations, 1.5e-3 log R as in SNAS-Series. It
    drops paths with 0.3 in the search, which is left out here. Published cost: 1.5 GPU-days. Expected test error: 2.85
    % with 2.8 M parameters at the moderate penalty (as quoted by P-DARTS, table 1).
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, without a penalty. Expected test accuracy of the found cell: 92.77
    % on CIFAR-10 (as reported by DrNAS, Chen et al., ICLR 2021, arXiv:2006.10355), where the best cell of the space
    has 94.37 %. They do not give the settings of this search; these are those of SNAS-Series for its schedule and
    alphas, and those of D-X-Y/AutoDL-Projects for the weights.
"""

from dnas.config import NASBENCH201_TRAINING, AlphaConfig, Config, SearchConfig, WeightConfig

SETTINGS = {
    "cifar10": Config(
        space="darts",
        method="snas",
        data="cifar10",
        search=SearchConfig(
            epochs=150,
            levels="single",
            valid_portion=0.02,
            alphas=AlphaConfig(initial_scale=0.01),
        ),
    ),
    "nasbench201": Config(
        space="nasbench201",
        method="snas:penalty=0.0",
        data="cifar10",
        search=SearchConfig(
            epochs=150,
            levels="single",
            valid_portion=0.02,
            cells=5,
            channels=16,
            weights=WeightConfig(optimiser="sgd:nesterov=true", decay=5e-4),
            alphas=AlphaConfig(initial_scale=0.01),
        ),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
