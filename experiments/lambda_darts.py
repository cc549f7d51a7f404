"""Lambda-DARTS: weights that make all cells want the same operations (Movahedi et al., ICLR 2023, arXiv:2210.07998).

    dnas search experiments/lambda_darts.py --out runs/lambda_darts
    dnas search experiments/lambda_darts.py:s1 --out runs/lambda_darts_s1
    dnas search experiments/lambda_darts.py:nasbench201 --out runs/lambda_darts_nasbench201
    dnas retrain runs/lambda_darts

Hardware: one GPU. Not yet run by this project.
All on CIFAR-10. Searches as in dr-faustus/Lambda-DARTS: the settings of DARTS, first order; the weight of the alignment
grows to 0.125, its default, or to 0.25, in its scripts. The derivative is exact here.

cifar10: seven operations without `none`. Expected test error: the paper has one, which is not quoted here because it
    was not at hand.
s1, s2, s3, s4: in the spaces of RobustDARTS (see `robust_darts.py`), with the weight 0.25 and batches of 96, as the
    script has them for s4 on SVHN. Expected test error: the paper's are not quoted here either; DARTS has 3.84, 4.85,
    3.34 and 7.20 %.
nasbench201: 100 epochs in the NAS-Bench-201 space with the weight 0.25 and alphas at 1e-4, weights first, as in its
    script. Expected test accuracy of the found cell: 94.36 +- 0.00 % on CIFAR-10, 73.51 +- 0.00 % on CIFAR-100 and
    46.34 +- 0.00 % on ImageNet-16-120 (one cell in all searches, as quoted by others).
"""

from dnas.config import NASBENCH201_TRAINING, AlphaConfig, Config, SearchConfig

OPERATIONS = "max_pool_3x3+avg_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"
ROBUST = SearchConfig(batch_size=96)
SETTINGS = {
    "cifar10": Config(space=f"darts:operations={OPERATIONS}", method="lambda_darts", data="cifar10", seed=2),
    "s1": Config(space="robust:name=s1", method="lambda_darts:weight=0.25", data="cifar10", search=ROBUST),
    "s2": Config(space="robust:name=s2", method="lambda_darts:weight=0.25", data="cifar10", search=ROBUST),
    "s3": Config(space="robust:name=s3", method="lambda_darts:weight=0.25", data="cifar10", search=ROBUST),
    "s4": Config(space="robust:name=s4", method="lambda_darts:weight=0.25", data="cifar10", search=ROBUST),
    "nasbench201": Config(
        space="nasbench201",
        method="lambda_darts:weight=0.25",
        data="cifar10",
        search=SearchConfig(
            epochs=100, cells=5, channels=16, order="weights_first", alphas=AlphaConfig(learning_rate=1e-4)
        ),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
