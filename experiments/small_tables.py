"""A network for rows of a table: layers with a searched width, activation, skip, normalisation and dropout. No paper.

    dnas search experiments/small_tables.py:breast_cancer --out runs/breast_cancer
    dnas retrain runs/breast_cancer
    .venv/bin/python scripts/tables.py       # beside random networks and gradient boosting, on the same rows

Hardware: 2 CPU cores; the search on wine took 28 s beside other work. Expected: no published numbers;
scripts/tables.py prints what comes out beside scikit-learn's gradient boosting, and the test part selects nothing.
Any other table: --data table:path=FILE,target=COLUMN.

breast_cancer, wine: classes, accuracy.
diabetes: a number, root mean squared error in its unit, less is better.
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

PLAIN = AugmentConfig(pad=0, flip=False)


def small(data: str) -> Config:
    """Small networks for small tables."""
    return Config(
        space="tabular",
        method="darts",
        data=data,
        seeds=3,
        checkpoint_epochs=10,
        search=SearchConfig(
            epochs=50,
            batch_size=32,
            cells=1,
            channels=32,
            valid_portion=0.4,
            augment=PLAIN,
            weights=WeightConfig(learning_rate=0.05),
            alphas=AlphaConfig(learning_rate=3e-3),
        ),
        retrain=RetrainConfig(
            epochs=100,
            batch_size=32,
            cells=1,
            channels=32,
            auxiliary=0.0,
            drop_path=0.0,
            augment=PLAIN,
            weights=WeightConfig(learning_rate=0.05, schedule="cosine"),
        ),
    )


SETTINGS = {"breast_cancer": small("breast_cancer"), "wine": small("wine"), "diabetes": small("diabetes")}


def config(setting: str = "breast_cancer") -> Config:
    return SETTINGS[setting]
