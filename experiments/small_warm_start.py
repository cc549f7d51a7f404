"""Our warm start against DARTS and random search on 2,000 images of JPEG CIFAR-10 in the NAS-Bench-201 space, 16 seeds.

    dnas compare experiments/small_warm_start.py --lookup --out runs/small_warm_start
    dnas search experiments/small_warm_start.py:warm --out runs/warm

Hardware: 2 CPU cores, 35 minutes beside other work. Of 50 random cells two proxies give every operation a prior
(`warm_start`), and DARTS goes on from there, for 8 epochs; `-single`: at a single level, on the images of the weights
alone. `best of 50` takes the best of 50 random cells by the same two proxies, and trains nothing. The found cells are
looked up. Expected: no published numbers. What came out (commit 78bf7d7, benchmarks/results/small_warm_start.json),
test accuracy:

    warm-single   93.55 +- 0.22 %   3.0e11 operations a search
    warm          93.16 +- 0.37 %   4.7e11
    best of 50    93.14 +- 0.86 %   4.3e10
    darts-single  89.94 +- 4.17 %   2.3e11
    darts         89.62 +- 3.32 %   4.0e11
    random search at equal cost: one random cell, 86.45 +- 14.02 %

warm-single beats darts (signed-rank test over 16 seeds, p = 3e-5, 4e-4 after Holm's correction for all pairs) and
random search at equal cost (permutation test, p = 0.001 after Holm), and is cheaper than darts. It is the prior that
does it: after one epoch the cells have 93.56 %, and seven more change cells but not their mean; at two levels they lose
0.4. Against the best of 50 by the same proxies, for a seventh of the operations, p = 0.07 (0.33 after Holm). The best
cell of the space has 94.37 %, that of 3x3 convolutions alone, which these proxies like best, 93.76 %.
"""

from dataclasses import replace

from dnas.blackbox.config import BlackboxConfig
from dnas.config import AlphaConfig, AugmentConfig, Config, SearchConfig

SEEDS = 16
BASE = Config(
    space="nasbench201",
    data="cifar10_jpeg:limit=2000,size=16",
    seeds=SEEDS,
    checkpoint_epochs=4,
    search=SearchConfig(
        epochs=8, cells=1, channels=8, alphas=AlphaConfig(learning_rate=0.01), augment=AugmentConfig(pad=1, flip=True)
    ),
)
SINGLE = replace(BASE, search=replace(BASE.search, levels="single"))
SETTINGS = {
    "warm-single": replace(SINGLE, method="warm_start"),
    "warm": replace(BASE, method="warm_start"),
    "darts-single": SINGLE,
    "darts": BASE,
}
PROXY = f"proxy:proxy=nwot+synflow,data='{BASE.data}',channels=8,images=64,voters=50"


def configs() -> dict[str, Config | BlackboxConfig]:
    best = BlackboxConfig("random_search", evaluator=PROXY, objective="votes", budget="50evaluations", runs=SEEDS)
    return {**SETTINGS, "best of 50": best}


def config(setting: str = "warm-single") -> Config:
    return replace(SETTINGS[setting], seeds=1)
