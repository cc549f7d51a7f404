"""Gradient methods and searchers under one protocol in the NAS-Bench-201 space: one table, tests, two figures.

    dnas compare experiments/nasbench201_compare.py --lookup --random_cells 3 --out runs/nasbench201_compare
    dnas compare experiments/nasbench201_compare.py --lookup --only darts gdas evolution --out runs/three
    dnas search experiments/nasbench201_compare.py:gdas --out runs/gdas

Hardware: 2 CPU cores, 5 to 10 minutes for the three searches of a gradient method on busy ones. The gradient methods
search on 2,000 images of JPEG CIFAR-10 of 16x16 pixels, half of them for the weights and half for the alphas, with one
cell per stage and 8 channels; the searchers ask the table for validation accuracies after 12 epochs, for 12,000 s by
its account. Found cells are looked up: CIFAR-10 test accuracy after 200 epochs. Expected: no published numbers for
searches this short; those of the searchers in experiments/nasbench201_blackbox.py. What came out (commits 72aac72 and
5781457): searchers 93.7 to 94.2 %, gaea 92.9, darts 91.2, random cells 80.6, pc_darts 78.0, gdas 72.1, drnas 71.5,
beta_darts 70.5 %; three seeds show no difference between any two (p is 0.1 at least, before Holm's correction). All of
it is in benchmarks/results/nasbench201_compare.json and the files beside it.
Departures from the papers: the size, few steps and so a larger learning rate for the alphas; those of single methods
stand beside them. The searchers know what each cell is worth after training at full size, 1e16 operations a search, the
gradient methods only what their small supernet shows in 4e11: at equal operations random search cannot train one cell.
After 8 epochs the supernets order 50 cells the wrong way round, with Spearman correlations of -0.2 to -0.6 on average.
"""

from dataclasses import replace
from typing import Any

from dnas.blackbox.config import BlackboxConfig
from dnas.compare import Protocol
from dnas.config import AlphaConfig, AugmentConfig, Config, SearchConfig

SEEDS = 3
BASE = Config(
    space="nasbench201",
    data="cifar10_jpeg:limit=2000,size=16",
    seeds=SEEDS,
    checkpoint_epochs=4,
    search=SearchConfig(
        epochs=8, cells=1, channels=8, alphas=AlphaConfig(learning_rate=0.01), augment=AugmentConfig(pad=1, flip=True)
    ),
)
SETTINGS = {  # name -> method
    "darts": "darts",
    "gdas": "gdas",
    "drnas": "drnas:partial=4+2,keep=3",  # 4 epochs with 1/4 of the channels, 4 with 1/2 and 3 operations per edge
    "pc_darts": "pc_darts",
    "gaea": "gaea",
    "beta_darts": "beta_darts",
}
CHANGES: dict[str, dict[str, Any]] = {  # name -> fields of its SearchConfig
    "gaea": {"alphas": AlphaConfig(learning_rate=0.1, decay=0.0)},  # its alphas are distributions
}
SEARCHERS = {
    "random search": "random_search",
    "evolution": "evolution",
    "reinforce": "reinforce",
    "local_search": "local_search",
    "nsga2": "nsga2",  # of one objective: a genetic algorithm with crossover
}


def configs() -> dict[str, Config | BlackboxConfig]:
    gradients = {
        name: replace(BASE, method=method, search=replace(BASE.search, **CHANGES.get(name, {})))
        for name, method in SETTINGS.items()
    }
    return gradients | {
        name: BlackboxConfig(searcher, budget="12000s", runs=SEEDS) for name, searcher in SEARCHERS.items()
    }


def protocol() -> Protocol:
    return Protocol(supernet_cells=50)


def config(setting: str = "darts") -> Config:
    made = configs()[setting]
    assert isinstance(made, Config)
    return replace(made, seeds=1)
