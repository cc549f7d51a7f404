"""Shapley-NAS: alphas step by what operations contribute to the accuracy (Xiao et al., CVPR 2022, arXiv:2206.09811).

    dnas search experiments/shapley_nas.py --out runs/shapley_nas
    dnas search experiments/shapley_nas.py:nasbench201 --out runs/shapley_nas_nasbench201
    dnas retrain runs/shapley_nas

Hardware: one GPU of 12 GB or more. Not yet run by this project.
An epoch with a step of the alphas evaluates up to 10 orders of all operations, each on 1,024 validation images: in the
DARTS space up to 1,970 evaluations.

cifar10: on CIFAR-10, as in Euphoria16/Shapley-NAS: seven operations without `none`, a quarter of the channels, 25
    epochs of weights alone, then 25 with a step of the alphas before each; training with drop-path 0.3, batches of 64.
    Expected test error: 2.43 % at best with 3.6 M parameters, mean 2.47 +- 0.04 % (as quoted by others; not checked
    against the paper).
nasbench201: on CIFAR-10 in the NAS-Bench-201 space; the code has no search in it, the settings are those of its
    CIFAR-10 search with all channels and the network of NAS-Bench-201. Expected test accuracy of the found cell: 94.37
    % on CIFAR-10, 73.51 % on CIFAR-100, 46.85 % on ImageNet-16-120 (as quoted by others; not checked).
"""

from dnas.config import NASBENCH201_TRAINING, AlphaConfig, Config, RetrainConfig, SearchConfig, WeightConfig

OPERATIONS = "avg_pool_3x3+max_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"
SETTINGS = {
    "cifar10": Config(
        space=f"darts:operations={OPERATIONS}",
        method="shapley_nas:partial=4",
        data="cifar10",
        seed=2,
        search=SearchConfig(
            batch_size=256,
            weights=WeightConfig(learning_rate=0.1, schedule="cosine"),
            alphas=AlphaConfig(warmup_epochs=25),
        ),
        retrain=RetrainConfig(batch_size=64, drop_path=0.3),
    ),
    "nasbench201": Config(
        space="nasbench201",
        method="shapley_nas",
        data="cifar10",
        seed=2,
        search=SearchConfig(
            batch_size=256,
            cells=5,
            weights=WeightConfig(learning_rate=0.1, schedule="cosine"),
            alphas=AlphaConfig(warmup_epochs=25),
        ),
        retrain=NASBENCH201_TRAINING,
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
