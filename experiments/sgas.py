"""SGAS: edges are decided one after the other during the search (Li et al., CVPR 2020, arXiv:1912.00195).

    dnas search experiments/sgas.py --out runs/sgas
    dnas search experiments/sgas.py:criterion2 --out runs/sgas_criterion2
    dnas search experiments/sgas.py:nasbench201 --out runs/sgas_nasbench201
    dnas retrain runs/sgas

Hardware: one GPU. Not yet run by this project.
All on CIFAR-10. Searches as in lightaime/sgas: 50 epochs with the settings of DARTS, first order, eight operations; a
decision after epoch 10 and then every five. There batches grow by 8 with every decision, here they stay 64.

criterion1: importance and certainty. Published cost: 0.25 GPU-days. Expected test error: 2.66 +- 0.24 % over 10
    searches, the best 2.39 % with 3.8 M parameters (README of the code).
criterion2: stability as well. Expected test error: the best 2.44 % with 4.1 M parameters (README of the code).
nasbench201: the first criterion in the NAS-Bench-201 space, for which SGAS was not published: six decisions of one
    edge. Expected: no number of its authors; the best cell has 94.37 % on CIFAR-10, that of DARTS 54.30 %.
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig

SETTINGS = {
    "criterion1": Config(space="darts", method="sgas", data="cifar10", seed=2),
    "criterion2": Config(space="darts", method="sgas:criterion=2", data="cifar10", seed=2),
    "nasbench201": Config(
        space="nasbench201",
        method="sgas",
        data="cifar10",
        seed=2,
        search=SearchConfig(epochs=50, cells=5, channels=16),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "criterion1") -> Config:
    return SETTINGS[setting]
