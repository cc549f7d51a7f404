"""ENAS: a controller samples paths of shared weights (Pham et al., ICML 2018, arXiv:1802.03268).

    dnas search experiments/enas.py --out runs/enas
    dnas search experiments/enas.py:nasbench201 --out runs/enas_nasbench201
    dnas retrain runs/enas

Hardware: one GPU. Not yet run by this project.
A step of `enas` costs about 0.4 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10 in the DARTS space. Of cifar10_micro_search.sh: 150 epochs, batches of 160, weight decay 1e-4,
    Nesterov momentum, controller by Adam without first moment at 0.0035, on a tenth of the images. One cosine from
    0.05 to 0.0005 stands for their four; paths are not dropped. Published cost: 0.5 GPU-days. Expected test error:
    2.89 % with 4.6 M parameters in a similar space of 5 operations (table 2).
nasbench201: on CIFAR-10 in the NAS-Bench-201 space. Search as in D-X-Y/AutoDL-Projects: 250 epochs, Nesterov momentum,
    weight decay 5e-4; the controller by Adam at 0.001. Expected test accuracy of the found cell: 54.30 % on CIFAR-10,
    all skip connections (Dong and Yang, ICLR 2020, arXiv:2001.00326, table 5), where the best cell of the space has
    94.37 %.
"""

from dataclasses import replace

from dnas.config import NASBENCH201_SEARCH, NASBENCH201_TRAINING, AlphaConfig, Config, SearchConfig, WeightConfig

SETTINGS = {
    "cifar10": Config(
        space="darts",
        method="enas",
        data="cifar10",
        search=SearchConfig(
            epochs=150,
            batch_size=160,
            valid_portion=0.1,
            order="weights_first",
            weights=WeightConfig(
                learning_rate=0.05, schedule="cosine:end=0.0005", optimiser="sgd:nesterov=true", decay=1e-4
            ),
            alphas=AlphaConfig(learning_rate=0.0035, beta1=0.0, decay=0.0),
        ),
    ),
    "nasbench201": Config(
        space="nasbench201",
        method="enas",
        data="cifar10",
        search=replace(NASBENCH201_SEARCH, epochs=250, alphas=AlphaConfig(learning_rate=0.001, decay=0.0)),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
