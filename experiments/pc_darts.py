"""PC-DARTS: large batches through a quarter of the channels (Xu et al., ICLR 2020, arXiv:1907.05737).

    dnas search experiments/pc_darts.py --out runs/pc_darts
    dnas search experiments/pc_darts.py:nasbench201 --out runs/pc_darts_nasbench201
    dnas retrain runs/pc_darts

Hardware: one GPU, on CIFAR-10 of 12 GB or more. Not yet run by this project.
A step of `pc_darts` costs about 0.7 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10, as published. The settings are those of the code: first order, alphas still for 15 epochs,
    drop-path 0.3 in training. The learning rate of the search falls to 0 as in the paper, where the code's default is
    0.001. Published cost: 0.1 GPU-days for the search. Expected test error: 2.57 +- 0.07 % with 3.6 M parameters
    (table 1; README of yuhuixu1993/PC-DARTS). The FairDARTS authors measured 2.69 % with the same code.
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, for which PC-DARTS was not published. The settings are those of
    its CIFAR-10 search where they carry over, with the network of NAS-Bench-201 (5 cells per stage, 16 channels); the
    run behind the numbers may have had others. Expected test accuracy of the found cell: 93.41 +- 0.30 % on CIFAR-10,
    67.48 +- 0.89 % on CIFAR-100 and 41.31 +- 0.22 % on ImageNet-16-120, searched on CIFAR-10 (Chen et al., ICLR 2021,
    arXiv:2006.10355, table 1; the best cells of the space have 94.37, 73.51 and 47.31 %).
"""

from dnas.config import NASBENCH201_TRAINING, AlphaConfig, Config, RetrainConfig, SearchConfig, WeightConfig

SETTINGS = {
    "cifar10": Config(
        space="darts",
        method="pc_darts",
        data="cifar10",
        seed=2,
        search=SearchConfig(
            batch_size=256,
            weights=WeightConfig(learning_rate=0.1, schedule="cosine"),
            alphas=AlphaConfig(learning_rate=6e-4, warmup_epochs=15),
        ),
        retrain=RetrainConfig(drop_path=0.3),
    ),
    "nasbench201": Config(
        space="nasbench201",
        method="pc_darts",
        data="cifar10",
        seed=2,
        search=SearchConfig(
            batch_size=256,
            cells=5,
            weights=WeightConfig(learning_rate=0.1, schedule="cosine"),
            alphas=AlphaConfig(learning_rate=6e-4, warmup_epochs=15),
        ),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
