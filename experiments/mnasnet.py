"""MnasNet: REINFORCE or evolution by a reward of accuracy and latency (Tan et al., CVPR 2019, arXiv:1807.11626).

    dnas blackbox experiments/mnasnet.py --out runs/mnasnet
    dnas blackbox experiments/mnasnet.py:hard --out runs/mnasnet_hard

Hardware: 2 CPU cores.
The reward is theirs, accuracy (cost / T)^w: w = -0.07 is their soft constraint, 0 up to T and -1 beyond it their hard
one. They draw 8,000 networks by an RNN that PPO trains, and train each on ImageNet for 5 epochs; T is 75 ms on a Pixel
1. Published, and counted by dnas show mnasnet_a1 and mnasnet_b1 (B1 has no squeeze-excite):

        top-1 on ImageNet  Pixel 1  parameters              multiply-adds
    A1  75.2 %             78 ms    3.9 M, here 3,887,038   312 M, here 311,579,072
    B1  74.5 %             77 ms    4.4 M, here 4,383,312   315 M, here 314,415,872

A1 is in the README of tensorflow/tpu (models/official/mnasnet), which also has mnasnet_small with about 66 %; B1 and
the 4.5 days that their search took on 64 TPUs are of the paper, as others quote it. How to train these networks is in
experiments/efficientnet.py. There is no setting of that size here: it is the same command with a longer --budget and
--evaluator train:config=FILE of your own, whose space is mnasnet, and whose data may be imagenet.

soft, hard, evolution: the small twin: two blocks, handwritten digits, 20 trainings of 3 epochs each; the cost is
multiply-adds, and T is 150,000 of them. With milliseconds of this machine in their place:

    dnas latency mnasnet:size=tiny --image-size 8 --image-channels 1 --out here.json
    dnas blackbox experiments/mnasnet.py:soft --objective "accuracy*(latency:table=here.json/0.1)^-0.07" --out runs/here

That measures several hundred blocks, so it takes a while, and has not been run to its end. Expected: no published
number. At commit c8f4858 the best of soft was the last of 20, reward 0.883, 89.6 % of 288 validation images at 183,424
multiply-adds; seven minutes on two busy cores, most of it compilation. The most accurate had 92.7 % at 631,808, reward
0.838. 20 draws teach REINFORCE little: one seed, and no claim that it beats random search. hard and evolution have not
been run by this project to their end.
"""

from pathlib import Path

from dnas.blackbox.config import BlackboxConfig
from dnas.config import AugmentConfig, Config, RetrainConfig, WeightConfig

TARGET = "150000"
SOFT, HARD = f"accuracy*(multiply_adds/{TARGET})^-0.07", f"accuracy*(multiply_adds/{TARGET})^0|-1"
SETTINGS = {  # name -> searcher, objective
    "soft": ("reinforce:learning_rate=0.1", SOFT),
    "hard": ("reinforce:learning_rate=0.1", HARD),
    "evolution": ("evolution:population=10,tournament=3,mutation=edge", SOFT),
}


def config() -> Config:
    """How every network is trained."""
    return Config(
        space="mnasnet:size=tiny",
        data="digits",
        retrain=RetrainConfig(
            epochs=3,
            batch_size=64,
            cells=1,
            auxiliary=0.0,
            drop_path=0.0,
            valid_portion=0.2,
            weights=WeightConfig(0.1, "sgd:nesterov=true", "cosine", decay=4e-5),
            augment=AugmentConfig(pad=1, flip=False),
        ),
    )


def searches() -> dict[str, BlackboxConfig]:
    evaluator = f"train:config={Path(__file__)}"
    return {
        name: BlackboxConfig(searcher, evaluator, objective, budget="20evaluations", runs=1)
        for name, (searcher, objective) in SETTINGS.items()
    }
