"""ENAS on CIFAR-10 in the DARTS space.

    dnas search experiments/enas_cifar10.py --out runs/enas_cifar10
    dnas retrain runs/enas_cifar10

Hardware: one GPU. Published cost: 0.5 GPU-days.
Expected test error: 2.89 % with 4.6 M parameters in a similar space of 5 operations (Pham et al., ICML 2018,
arXiv:1802.03268, table 2). Not yet run by this project.
Of cifar10_micro_search.sh: 150 epochs, batches of 160, weight decay 1e-4, Nesterov momentum, controller by Adam without
first moment at 0.0035, on a tenth of the images. One cosine from 0.05 to 0.0005 stands for their four; paths are not
dropped.
A step of `enas` costs about 0.4 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import AlphaConfig, Config, SearchConfig, WeightConfig


def config() -> Config:
    return Config(
        space="darts",
        method="enas",
        data="cifar10",
        search=SearchConfig(
            epochs=150,
            batch_size=160,
            valid_portion=0.1,
            order="weights_first",
            weights=WeightConfig(learning_rate=0.05, learning_rate_end=0.0005, nesterov=True, decay=1e-4),
            alphas=AlphaConfig(learning_rate=0.0035, beta1=0.0, decay=0.0),
        ),
    )
