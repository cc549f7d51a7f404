"""SPOS: single path one-shot, then evolution (Guo et al., ECCV 2020, arXiv:1904.00420).

    dnas search experiments/spos.py --out runs/spos
    dnas retrain runs/spos
    dnas search experiments/spos.py:small --out runs/spos_small
    dnas retrain runs/spos_small

Hardware: one GPU; for `small` two CPU cores. Only `small` has been run by this project.
The evolution is theirs, 20 generations of 50; the training of the shared weights is that of RandomNAS-WS here.
A step of `spos` costs about 0.4 x one of first-order DARTS (benchmarks/results/step_cost.json).

nasbench201: on CIFAR-10 in the NAS-Bench-201 space. Expected: no published number in this space by its authors, who
    search on ImageNet in spaces of their own; the best cell has 94.37 % test accuracy.
imagenet: their own space, shuffle blocks, of which the published network 21012020202300003233 is one (`dnas show spos`:
    3,558,464 parameters, 322,918,720 multiply-adds; published 3.5 M, 323 M). Expected: 74.4 % top-1 on ImageNet by that
    network, as the README of megvii-model/SinglePathOneShot has it (an error of 25.6 %).
    The data are a folder of images, one of them a class; of their training 150,000 steps of 1,024 images, rate 0.5
    falling linearly, decay 4e-5. Departures: one decay for all weights, and no limit of 330 M in the evolution.
small: a smoke test of their space in its smallest size, on 2,000 JPEG images of CIFAR-10. Expected: no published
    number; a step, the evolution and a retraining in minutes.
"""

from dnas.config import NASBENCH201_TRAINING, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

THEIRS = WeightConfig(0.5, "sgd", "linear", decay=4e-5, clip=0.0, reference_batch=1024)
SETTINGS = {
    "nasbench201": Config(
        space="nasbench201",
        method="spos",
        data="cifar10",
        search=SearchConfig(
            epochs=250, cells=5, channels=16, weights=WeightConfig(optimiser="sgd:nesterov=true", decay=5e-4)
        ),
        retrain=NASBENCH201_TRAINING,
    ),
    "imagenet": Config(
        space="spos",
        method="spos",
        data="image_folder:path=imagenet,size=224",
        search=SearchConfig(epochs=120, batch_size=1024, valid_portion=0.04, weights=THEIRS),
        retrain=RetrainConfig(
            epochs=240, batch_size=1024, auxiliary=0.0, drop_path=0.0, label_smoothing=0.1, weights=THEIRS
        ),
    ),
    "small": Config(
        space="spos:size=tiny",
        method="spos:population=10,generations=4",
        data="cifar10_jpeg:limit=2000,size=16",
        search=SearchConfig(epochs=5, augment=AugmentConfig(pad=2)),
        retrain=RetrainConfig(epochs=5, batch_size=64, auxiliary=0.0, drop_path=0.0, augment=AugmentConfig(pad=2)),
    ),
}


def config(setting: str = "nasbench201") -> Config:
    return SETTINGS[setting]
