"""All methods on 4,000 images of Fashion-MNIST in the NAS-Bench-201 space: one table, one figure.

    dnas compare experiments/small_compare.py --out runs/small_compare
    dnas compare experiments/small_compare.py --out runs/two --only darts gdas --seeds 2

Hardware: 2 CPU cores. Every method searches on the same images with the same supernet, batches and epochs; what a
method changes beside itself stands in CHANGES. Every found cell is trained alike and, where the table of NAS-Bench-201
is at hand ($DNAS_SHARED), looked up: its CIFAR-10 accuracy after 200 epochs. Expected: no published numbers; on a
search this short the differences between methods are those between early and late, not between papers.
"""

from dataclasses import replace

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig

AUGMENT = AugmentConfig(pad=1, flip=True)
BASE = Config(
    space="nasbench201",
    data="fashion_mnist:limit=4000,size=16",
    seeds=3,
    checkpoint_epochs=5,
    search=SearchConfig(epochs=15, cells=1, channels=8, alphas=AlphaConfig(learning_rate=0.01), augment=AUGMENT),
    retrain=RetrainConfig(epochs=6, batch_size=64, cells=1, channels=8, auxiliary=0.0, drop_path=0.0, augment=AUGMENT),
)
METHODS = {
    "darts": "darts",
    "darts-second": "darts:order=second",
}
CHANGES = {}  # method -> fields of its SearchConfig


def configs() -> dict[str, Config]:
    return {
        name: replace(BASE, method=method, search=replace(BASE.search, **CHANGES.get(name, {})))
        for name, method in METHODS.items()
    }
