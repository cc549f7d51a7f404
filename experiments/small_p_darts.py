"""P-DARTS on 2,000 images of Fashion-MNIST in the NAS-Bench-201 space: minutes on two CPU cores.

    dnas search experiments/small_p_darts.py --out runs/small_p_darts
    dnas retrain runs/small_p_darts

Hardware: 2 CPU cores. Expected: no published numbers; the settings are those of experiments/small_compare.py, which has
all methods, with one seed.
Departures from the paper: one cell per stage, 8 channels, 16x16 pixels, few steps and so a larger learning rate for
the alphas. Three phases of 4 epochs with 1, 2 and 3 cells per stage and 5, 4 and 3 operations on every edge.
A step of `p_darts` costs about 2.3 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dataclasses import replace

from small_compare import configs

from dnas.config import Config


def config() -> Config:
    return replace(configs()["p_darts"], seeds=1)
