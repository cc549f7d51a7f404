"""TE-NAS: cells by pruning a supernet at initialisation by two numbers of its theory (arXiv:2102.11535).

    dnas search experiments/te_nas.py --out runs/te_nas
    dnas search experiments/te_nas.py:cifar10 --out runs/te_nas_cifar10
    dnas search experiments/te_nas.py:small --out runs/te_nas_small && dnas bench runs/te_nas_small

Hardware: one GPU; small: 2 CPU cores. Nothing is trained: an epoch is a round, after which every edge has lost
operations. Sizes of supernets and batches are those of VITA-Group/TENAS; where scores differ: `dnas/methods/te_nas.py`.

nasbench201: on CIFAR-10 in the NAS-Bench-201 space, `none` left out. Expected test accuracy of the found cell on
    CIFAR-10, CIFAR-100 and ImageNet16-120: 93.9 ± 0.47, 71.24 ± 0.56 and 42.38 ± 0.46 % (as quoted by others; not
    checked against the paper, whose code searches on each set), in 20 minutes on one GPU (theirs). Not yet run by this
    project.
cifar10: on CIFAR-10 in DARTS' space, three operations of an edge in a round. Expected test error: 2.63 ± 0.06 %
    (2.83 ± 0.06 % when others evaluated it: arXiv:2109.00817). Not yet run by this project. Their supernet ends after
    two cells, ours has three, one of which is normal.
small: as nasbench201, on batches of 16 images of 16x16 of JPEG CIFAR-10, three seeds, 6 minutes beside other work. What
    came out (commit fd083be), by NAS-Bench-201's table: 93.67 ± 0.27, 70.50 ± 1.27 and 44.90 ± 0.76 %.
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig

SETTINGS = {
    "nasbench201": Config(
        space="nasbench201",
        method="te_nas",
        data="cifar10",
        search=SearchConfig(epochs=3, batch_size=72, cells=1, channels=3),
        retrain=NASBENCH201_TRAINING,
    ),
    "cifar10": Config(
        space="darts",
        method="te_nas:prune=3",
        data="cifar10",
        search=SearchConfig(epochs=2, batch_size=14, cells=3, channels=1),
    ),
    "small": Config(
        space="nasbench201",
        method="te_nas",
        data="cifar10_jpeg:size=16",
        seeds=3,
        search=SearchConfig(epochs=3, batch_size=16, cells=1, channels=3),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "nasbench201") -> Config:
    return SETTINGS[setting]
