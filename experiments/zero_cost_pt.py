"""Zero-Cost-PT: cells by what a supernet at initialisation loses without an operation (arXiv:2106.06799).

    dnas search experiments/zero_cost_pt.py --out runs/zero_cost_pt
    dnas search experiments/zero_cost_pt.py --method zero_cost_pt --out runs/zero_cost_pt_jacob_cov
    dnas search experiments/zero_cost_pt.py:nasbench201 --out runs/zero_cost_pt_nasbench201
    dnas retrain runs/zero_cost_pt

Hardware: one GPU, or patience. Not yet run by this project.
Nothing is trained: an epoch is one proposal, of 10, as in zerocostptnas/zerocost_operation_score, which scores them on
100 batches. What it calls "jacob" is `nwot`, see `dnas/methods/zero_cost_pt.py`.

cifar10: on CIFAR-10, seven operations without `none`: a proposal takes 220 scores of the supernet and 100 of the
    cells, each on 64 images. Expected test error: 2.64 % (as quoted by others; not checked against the paper).
nasbench201: on CIFAR-10 in the NAS-Bench-201 space, 256 images for a score. Expected test accuracy of the found cell:
    not known to us; DARTS-PT has 88.11 % on CIFAR-10, with alphas that stand still 93.80 %.
s1, s2, s3, s4: on CIFAR-10 in the spaces of RobustDARTS (see `robust_darts.py`). Expected test error: not known to us;
    DARTS-PT has 3.50, 2.79, 2.49 and 2.64 %.
"""

from dnas.config import NASBENCH201_TRAINING, Config, SearchConfig

OPERATIONS = "max_pool_3x3+avg_pool_3x3+skip_connect+sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5"
TEN = SearchConfig(epochs=10)
SETTINGS = {
    "cifar10": Config(
        space=f"darts:operations={OPERATIONS}", method="zero_cost_pt:proxy=nwot", data="cifar10", seed=2, search=TEN
    ),
    "nasbench201": Config(
        space="nasbench201",
        method="zero_cost_pt:proxy=nwot",
        data="cifar10",
        search=SearchConfig(epochs=10, batch_size=256, cells=5, channels=16),
        retrain=NASBENCH201_TRAINING,
    ),
    "s1": Config(space="robust:name=s1", method="zero_cost_pt:proxy=nwot", data="cifar10", seed=2, search=TEN),
    "s2": Config(space="robust:name=s2", method="zero_cost_pt:proxy=nwot", data="cifar10", seed=2, search=TEN),
    "s3": Config(space="robust:name=s3", method="zero_cost_pt:proxy=nwot", data="cifar10", seed=2, search=TEN),
    "s4": Config(space="robust:name=s4", method="zero_cost_pt:proxy=nwot", data="cifar10", seed=2, search=TEN),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
