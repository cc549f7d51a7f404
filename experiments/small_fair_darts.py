"""FairDARTS on 2,000 images of Fashion-MNIST in the NAS-Bench-201 space: minutes on two CPU cores.

    dnas search experiments/small_fair_darts.py --out runs/small_fair_darts
    dnas retrain runs/small_fair_darts

Hardware: 2 CPU cores. Expected: no published numbers; the settings are those of experiments/small_compare.py, which has
all methods, with one seed.
Departures from the paper: one cell per stage, 8 channels, 16x16 pixels, few steps and so a larger learning rate for
the alphas. The genotype by DARTS' rule: on so short a search nothing reaches the threshold of 0.85.
A step of `fair_darts` costs about 1.0 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dataclasses import replace

from small_compare import configs

from dnas.config import Config


def config() -> Config:
    return replace(configs()["fair_darts"], seeds=1)
