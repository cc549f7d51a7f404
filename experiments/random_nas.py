"""RandomNAS-WS: random search with shared weights (Li and Talwalkar, UAI 2019, arXiv:1902.07638).

    dnas search experiments/random_nas.py --out runs/random_nas
    dnas search experiments/random_nas.py:nasbench201 --out runs/random_nas_nasbench201
    dnas retrain runs/random_nas

Hardware: one GPU. Not yet run by this project.
A step of `random_nas` costs about 0.4 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10 in the DARTS space. Of liamcli/randomNAS_release: 150 epochs, 24 channels, gradients clipped at 1;
    then 5 rounds of 1,000 architectures. Published cost: 2.7 GPU-days. Expected test error: 2.85 +- 0.08 % with 4.3 M
    parameters (quoted from memory).
nasbench201: on CIFAR-10 in the NAS-Bench-201 space. Search as in D-X-Y/AutoDL-Projects: 250 epochs, Nesterov momentum,
    weight decay 5e-4, then the best of 100 architectures on the validation part. Expected test accuracy of the found
    cell: 87.66 +- 1.69 % on CIFAR-10 ("RSPS", Dong and Yang, ICLR 2020, arXiv:2001.00326, as quoted by later papers;
    some quote 84.07 +- 3.61 %), where the best cell of the space has 94.37 %.
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig, WeightConfig

SETTINGS = {
    "cifar10": Config(
        space="darts",
        method="random_nas",
        data="cifar10",
        search=SearchConfig(epochs=150, channels=24, weights=WeightConfig(clip=1.0)),
    ),
    "nasbench201": Config(
        space="nasbench201",
        method="random_nas:rounds=1,samples=100,finalists=100",
        data="cifar10",
        search=SearchConfig(
            epochs=250, cells=5, channels=16, weights=WeightConfig(optimiser="sgd:nesterov=true", decay=5e-4)
        ),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
