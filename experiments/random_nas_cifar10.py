"""RandomNAS-WS, random search with shared weights, on CIFAR-10 in the DARTS space.

    dnas search experiments/random_nas_cifar10.py --out runs/random_nas_cifar10
    dnas retrain runs/random_nas_cifar10

Hardware: one GPU. Published cost: 2.7 GPU-days.
Expected test error: 2.85 +- 0.08 % with 4.3 M parameters (Li and Talwalkar, UAI 2019, arXiv:1902.07638; quoted from
memory). Not yet run by this project.
Of liamcli/randomNAS_release: 150 epochs, 24 channels, gradients clipped at 1; then 5 rounds of 1,000 architectures.
A step of `random_nas` costs about 0.4 x one of first-order DARTS (benchmarks/results/step_cost.json).
"""

from dnas.config import Config, SearchConfig, WeightConfig


def config() -> Config:
    return Config(
        space="darts",
        method="random_nas",
        data="cifar10",
        search=SearchConfig(epochs=150, channels=24, weights=WeightConfig(clip=1.0)),
    )
