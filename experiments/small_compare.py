"""All methods on 2,000 images of Fashion-MNIST in the NAS-Bench-201 space: one table, one figure.

    dnas compare experiments/small_compare.py --out runs/small_compare
    dnas compare experiments/small_compare.py --out runs/two --only darts gdas --seeds 2

Hardware: 2 CPU cores. Every method searches on the same images with the same supernet, batches and epochs; what it
changes beside itself stands in CHANGES. Every found cell is trained alike and, where the table of NAS-Bench-201 is at
hand ($DNAS_SHARED), looked up: its CIFAR-10 accuracy after 200 epochs. Expected: no published numbers; on searches this
short methods differ as early searches do, not as papers do. What came out: README and
benchmarks/results/small_compare.json; what a step of each costs beside one of first-order DARTS:
benchmarks/results/step_cost.json (scripts/step_cost.py).
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
METHODS = {
    "darts": "darts",
    "darts-second": "darts:order=second",
    "agreement": "agreement",
    "beta_darts": "beta_darts",
    "darts_minus": "darts_minus",
    "darts_plus": "darts_plus",
    "darts_pt": "darts_pt:interval=1",
    "drnas": "drnas:partial=4+2,keep=3",
    "enas": "enas",
    "fair_darts": "fair_darts:rule=darts",
    "gaea": "gaea",
    "gdas": "gdas",
    "idarts": "idarts",
    "oles": "oles",
    "p_darts": "p_darts:deeper=0+1+2,keep=4+3",
    "pc_darts": "pc_darts",
    "proxyless_nas": "proxyless_nas",
    "random_nas": "random_nas:rounds=1,samples=50,finalists=5",
    "robust_darts": "robust_darts:order=first,begin=4",
    "sdarts-adv": "sdarts",
    "sdarts-rs": "sdarts:attack=random",
    "snas": "snas",
    "spos": "spos:population=10,generations=5,parents=5",
}
CHANGES: dict[str, dict[str, Any]] = {  # name -> fields of its SearchConfig
    "gaea": {"alphas": AlphaConfig(learning_rate=0.1, decay=0.0)},
    "snas": {"levels": "single"},
}


def configs() -> dict[str, Config]:
    return {
        name: replace(BASE, method=method, search=replace(BASE.search, **CHANGES.get(name, {})))
        for name, method in METHODS.items()
    }
