"""ProxylessNAS: binary gates and two sampled paths (Cai, Zhu and Han, ICLR 2019, arXiv:1812.00332).

    dnas search experiments/proxyless_nas.py --out runs/proxyless_nas
    dnas search experiments/proxyless_nas.py:imagenet --data image_folder:path=/data/imagenet,size=224
    dnas search experiments/proxyless_nas.py:small --out runs/proxyless_small   # the small twin
    dnas retrain runs/proxyless_small

Hardware: one GPU for cifar10 and several for imagenet, neither yet run by this project; two CPU cores for small.
From their code: 120 epochs after a warm-up of 40 in which alphas stand still, batches of 256, Nesterov momentum, weight
decay 4e-5, no clipping; alphas by Adam without first moment at 1e-3, one step for five of the weights. Left out: label
smoothing in the search, and a learning rate of its own for the warm-up.
A step of `proxyless_nas` costs about 1.1 x one of first-order DARTS (benchmarks/results/step_cost.json).

cifar10: on CIFAR-10 in the DARTS space. Expected: no published numbers in this space. The paper searches
    tree-structured cells, with 2.08 % test error and 5.7 M parameters on CIFAR-10, and mobile networks for ImageNet.
imagenet: their space, and their penalty, CE 0.2 (log E / log target)^0.3. Their target is 80 ms on a phone whose table
    is no part of this package, so the cost is multiply-adds, with the target of their network for phones. With a table
    of your own, of dnas latency proxyless --out here.json, it is
    --method proxyless_nas:cost=latency:table=here.json,target=80. Expected, top-1 accuracy on ImageNet by the logs of
    mit-han-lab/proxylessnas, and what dnas show proxyless_mobile, _gpu and _cpu count (their README: 320 M for mobile):

        mobile  74.59 %  78 ms on a Pixel 1  4,080,512 parameters  320,427,584 multiply-adds
        GPU     75.08 %  5.1 ms on a V100    7,119,848             465,260,160
        CPU     75.29 %  138.7 ms on a Xeon  4,361,648             439,243,864

    The milliseconds of mobile and GPU are of their README, those of CPU of the paper as others quote it; the settings
    of its training are not checked against the paper.
small: three layers on 2,000 JPEG images of CIFAR-10 of 16 pixels, with the penalty and a budget. Expected: no published
    number. At commit c8f4858 it found [skip, mb3_e3_c16_s2_relu6, skip] of 175,936 multiply-adds, with 36.0 % test
    accuracy of 400 images: one seed, two minutes on two busy cores. Nothing is claimed of it.
"""

from dataclasses import replace

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

NESTEROV = "sgd:nesterov=true"
SEARCH = SearchConfig(
    epochs=160,
    batch_size=256,
    order="weights_first",
    inner_steps=5,
    valid_portion=0.1,
    weights=WeightConfig(schedule="cosine", optimiser=NESTEROV, decay=4e-5, clip=0.0),
    alphas=AlphaConfig(learning_rate=1e-3, beta1=0.0, decay=0.0, warmup_epochs=40),
)
RETRAIN = RetrainConfig(
    epochs=150,
    batch_size=256,
    cells=1,
    auxiliary=0.0,
    drop_path=0.0,
    label_smoothing=0.1,
    weights=WeightConfig(0.05, NESTEROV, "cosine", decay=4e-5, clip=0.0),
    augment=AugmentConfig(),
)
SETTINGS = {
    "cifar10": Config(space="darts", method="proxyless_nas", data="cifar10", search=SEARCH),
    "imagenet": Config(
        space="proxyless",
        method="proxyless_nas:cost=multiply_adds,target=320e6",
        data="image_folder:size=224",
        search=replace(SEARCH, cells=1, valid_portion=0.04),  # 50,000 images
        retrain=RETRAIN,
    ),
    "small": Config(
        space="proxyless:size=tiny",
        method="proxyless_nas:cost=multiply_adds,target=5e5",
        data="cifar10_jpeg:limit=2000,size=16",
        budget="multiply_adds<5e5",
        search=SearchConfig(
            epochs=10,
            batch_size=64,
            cells=1,
            order="weights_first",
            valid_portion=0.2,
            weights=WeightConfig(0.1, NESTEROV, "cosine", decay=4e-5),
            alphas=AlphaConfig(learning_rate=0.03, beta1=0.0, decay=0.0, warmup_epochs=2),
            augment=AugmentConfig(pad=2),
        ),
        retrain=replace(RETRAIN, epochs=15, batch_size=64, label_smoothing=0.0, augment=AugmentConfig(pad=2)),
    ),
}


def config(setting: str = "cifar10") -> Config:
    return SETTINGS[setting]
