"""DARTS on CIFAR-10, as published: search with 8 cells, then a network of 20 cells and 36 channels.

    dnas search experiments/darts_cifar10.py --out runs/darts_cifar10
    dnas search experiments/darts_cifar10.py --method darts:order=finite_difference --out runs/darts_cifar10_second
    dnas retrain runs/darts_cifar10

Hardware: one GPU. Published cost: 1.5 GPU-days for first order, 4 for second (table 1 of the paper).
Expected test error: first order 3.00 +- 0.14 %, second order 2.76 +- 0.09 %, both with 3.3 M parameters (Liu, Simonyan
and Yang, ICLR 2019, arXiv:1806.09055, table 1, with cutout; the paper takes the best of four searches by validation
accuracy). Not yet run by this project.
The settings are those of quark0/darts, which are the defaults of `dnas.config`; `order=second` is the exact derivative
where they take a finite difference. Their split is in index order, ours is drawn with the seed.
A step is one of first-order DARTS, the unit of benchmarks/results/step_cost.json.
"""

from dnas.config import Config


def config() -> Config:
    return Config(space="darts", method="darts", data="cifar10", seed=2)
