"""DARTS, first order, on scikit-learn's digits in a DARTS space of two nodes and four operations: a minute or two.

    dnas search experiments/small_digits.py --out runs/small_digits
    dnas retrain runs/small_digits

Hardware: 2 CPU cores. Expected: no published numbers; `make demo` ranks the found cell among random ones.
The best of two searches by validation accuracy counts; the paper takes the best of four. Departures from the paper: 3
cells of 2 nodes, 4 channels, few steps and therefore a larger learning rate for the alphas, which stand still at first
(as in PC-DARTS) so that the convolutions can learn; digits must not be mirrored.
A step is one of first-order DARTS, the unit of benchmarks/results/step_cost.json.
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig

AUGMENT = AugmentConfig(pad=1, flip=False)
SETTINGS = {
    "digits": Config(
        space="darts:nodes=2,operations=none+max_pool_3x3+skip_connect+sep_conv_3x3",
        method="darts",
        data="digits",
        seeds=2,
        checkpoint_epochs=10,
        search=SearchConfig(
            epochs=40,
            cells=3,
            channels=4,
            alphas=AlphaConfig(learning_rate=0.03, warmup_epochs=15),
            augment=AUGMENT,
        ),
        retrain=RetrainConfig(
            epochs=15, batch_size=64, cells=3, channels=4, auxiliary=0.0, drop_path=0.0, augment=AUGMENT
        ),
    ),
}


def config(setting: str = "digits") -> Config:
    return SETTINGS[setting]
