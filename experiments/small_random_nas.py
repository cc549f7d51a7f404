"""RandomNAS-WS on 2,000 images of Fashion-MNIST in the NAS-Bench-201 space: minutes on two CPU cores.

    dnas search experiments/small_random_nas.py --out runs/small_random_nas
    dnas retrain runs/small_random_nas

Hardware: 2 CPU cores. Expected: no published numbers; the settings are those of experiments/small_compare.py, which has
all methods, with one seed.
Departures from the paper: one cell per stage, 8 channels, 16x16 pixels, few steps and so a larger learning rate for
the alphas. At the end 50 random cells are ranked on one batch and the best 5 on all.
A step of `random_nas` costs about 0.4 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dataclasses import replace

from small_compare import configs

from dnas.config import Config


def config() -> Config:
    return replace(configs()["random_nas"], seeds=1)
