"""All methods on 2,000 images of Fashion-MNIST in the NAS-Bench-201 space: one table, one figure.

    dnas compare experiments/small_compare.py --out runs/small_compare
    dnas compare experiments/small_compare.py --out runs/two --only darts gdas --seeds 2
    dnas search experiments/small_compare.py:gdas --out runs/small_gdas

Hardware: 2 CPU cores. Every method searches on the same images with the same supernet, batches and epochs; what it
changes beside itself stands in CHANGES. Every found cell is trained alike and looked up in the table of
NAS-Bench-201: its CIFAR-10 accuracy after 200 epochs. Expected: no published numbers; on searches this
short methods differ as early searches do, not as papers do. What came out: docs/results.md and
benchmarks/results/small_compare.json; what a step of each costs beside one of first-order DARTS:
benchmarks/results/step_cost.json (scripts/step_cost.py). `dnas search` runs one of them, with one seed, in minutes.
Departures from the papers: one cell per stage, 8 channels, 16x16 pixels, few steps and so a larger learning rate for
the alphas; those of single methods stand beside them.
"""

from dataclasses import replace
from typing import Any

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig

AUGMENT = AugmentConfig(pad=1, flip=True)
BASE = Config(
    space="nasbench201",
    data="fashion_mnist:limit=2000,size=16",
    seeds=3,
    checkpoint_epochs=5,
    search=SearchConfig(epochs=12, cells=1, channels=8, alphas=AlphaConfig(learning_rate=0.01), augment=AUGMENT),
    retrain=RetrainConfig(epochs=6, batch_size=64, cells=1, channels=8, auxiliary=0.0, drop_path=0.0, augment=AUGMENT),
)
SETTINGS = {  # name -> method
    "darts": "darts",
    "darts-second": "darts:order=second",
    "agreement": "agreement",
    "beta_darts": "beta_darts",
    "darts_minus": "darts_minus",
    "darts_plus": "darts_plus",
    "darts_pt": "darts_pt:interval=1",  # at the end every edge is decided in turn, with an epoch of tuning between
    "drnas": "drnas:partial=4+2,keep=3",  # 6 epochs with 1/4 of the channels, 6 with 1/2 and 3 operations per edge
    "enas": "enas",
    "fair_darts": "fair_darts:rule=darts",  # on so short a search nothing reaches its own rule's threshold of 0.85
    "gaea": "gaea",
    "gdas": "gdas",  # with one seed each edge computes the operation that was drawn and no other
    "idarts": "idarts",
    "oles": "oles",
    "p_darts": "p_darts:deeper=0+1+2,keep=4+3",  # 4 epochs each with 1, 2, 3 cells per stage and 5, 4, 3 operations
    "pc_darts": "pc_darts",
    "proxyless_nas": "proxyless_nas",  # computes every operation, though the weights' step needs one: nothing is saved
    "random_nas": "random_nas:rounds=1,samples=50,finalists=5",  # 50 cells ranked on one batch, the best 5 on all
    "robust_darts": "robust_darts:order=first,begin=4",  # its authors use second order; watched from epoch 4 on
    "sdarts-adv": "sdarts",
    "sdarts-rs": "sdarts:attack=random",
    "snas": "snas",
    "spos": "spos:population=10,generations=5,parents=5",  # at the end 5 generations of 10 cells evolve
}
CHANGES: dict[str, dict[str, Any]] = {  # name -> fields of its SearchConfig
    "gaea": {"alphas": AlphaConfig(learning_rate=0.1, decay=0.0)},  # its alphas are distributions
    "snas": {"levels": "single"},  # weights and alphas step together on the training part
}


def configs() -> dict[str, Config]:
    return {
        name: replace(BASE, method=method, search=replace(BASE.search, **CHANGES.get(name, {})))
        for name, method in SETTINGS.items()
    }


def config(setting: str = "darts") -> Config:
    return replace(configs()[setting], seeds=1)
