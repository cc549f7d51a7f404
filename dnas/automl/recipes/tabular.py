"""Rows of a table: layers whose width, activation, skip, norm and dropout are searched and tuned, on folds where rows
are few.

Fixed networks: a multilayer perceptron, and residual layers as Gorishniy et al. 2021 (arXiv:2106.11959) recommend.
"""

from typing import Any

from dnas.automl.recipes.protocol import Recipe, Shares, batch_size
from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

FEW, MANY = 2_000, 20_000  # train rows: up to so many are validated on folds; from so many on, batches are large
FOLDS, SEEDS = 5, 3
PLAIN = AugmentConfig(pad=0, flip=False)
LAYERS = 3
NETWORKS = {
    "multilayer perceptron": {"skip": "none", "norm": "none", "dropout": "0.1"},
    "residual layers": {"skip": "identity", "norm": "batch", "dropout": "0.1"},
}


def recipe(dataset: Any, *, minutes: float = 30.0, seed: int = 0) -> Recipe:
    """dataset: a `Table`."""
    rows, few = len(dataset.train_y), len(dataset.train_y) <= FEW
    batch = batch_size(rows, 32 if few else 128 if rows < MANY else 512)
    weights = WeightConfig(3e-3, "adamw", "cosine", decay=1e-2, clip=1.0)
    channels = 32 if few else 64
    config = Config(
        space=f"tabular:layers={LAYERS}",
        method="darts",
        data=dataset.name,
        seed=seed,
        seeds=SEEDS,
        checkpoint_epochs=10,
        search=SearchConfig(
            epochs=50 if few else 20,
            batch_size=batch,
            cells=1,
            channels=channels,
            valid_portion=0.4,
            augment=PLAIN,
            weights=WeightConfig(0.05),
            alphas=AlphaConfig(3e-3),
        ),
        retrain=RetrainConfig(
            epochs=60 if few else 30,
            batch_size=batch,
            valid_portion=0.0 if few else 0.2,
            cells=1,
            channels=channels,
            auxiliary=0.0,
            drop_path=0.0,
            augment=PLAIN,
            weights=weights,
        ),
    )
    validated = f"the mean of {FOLDS} folds of them" if few else "a fifth of them"
    return Recipe(
        config,
        networks={name: written(chosen) for name, chosen in NETWORKS.items()},
        over=(
            "retrain.weights.learning_rate=1e-3..2e-2:log",
            "retrain.weights.decay=1e-3..1:log",
            "retrain.epochs=[30,60,120]" if few else "retrain.epochs=[15,30,60]",
        ),
        architectures=True,
        learners=("gradient boosting", "linear model"),
        folds=FOLDS if few else 1,
        seeds=SEEDS,
        shares=Shares(search=0.1, training=0.06),
        reasons=(
            "Missing numbers become the median and a column that says so, categories a column each; numbers are scaled "
            "by the train rows.",
            f"{rows:,} train rows: networks are chosen by {validated}, with {SEEDS} seeds.",
        ),
    )


def written(chosen: dict[str, str]) -> str:
    """A network whose layers are alike, as `dnas retrain` takes it."""
    decided = {"width": "1", "activation": "relu", **chosen}
    rows = (f"{name}=[{', '.join([option] * LAYERS)}]" for name, option in decided.items())
    return f"tabular({', '.join(rows)})"
