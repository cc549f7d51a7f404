"""TextNAS: a network for sentences, of convolutions, pools, attention and recurrences (Wang et al. 2019).

arXiv:1912.10729, section 4.

    dnas search experiments/textnas.py:small --out runs/textnas
    dnas retrain runs/textnas
    dnas test runs/textnas/retrain
    dnas predict runs/textnas/retrain "Where is the longest river ?"

Hardware: 2 CPU cores. Expected: no published numbers for these settings. The paper's networks, 24 layers of width 256
with word vectors of GloVe, reach 90.3 % on SST-2 and 52.5 % on SST-5 (quoted, not checked).
Departures from the paper: six layers of width 64, searched by DARTS where the paper has ENAS; words have no vectors
from elsewhere; see dnas/spaces/text.py for those of the space.
Any other texts: --data text_table:path=FILE.

sst2, sst5, trec: sentences of film reviews, in two and five classes, and questions, in six.
small: three layers on a third of the questions.
"""

from dataclasses import replace

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

PLAIN = AugmentConfig(pad=0, flip=False)
TEXTS = "text_classification:least=2,dropped=0.1"


def texts(data: str, *, length: int, space: str = "text:size=small,embedded=0.3,dropout=0.3") -> Config:
    """Networks of width 64; sentences have so many tokens."""
    weights = WeightConfig(1e-3, "adam", "cosine", decay=1e-6)
    return Config(
        space=space,
        method="darts",
        data=data,
        task=f"{TEXTS},max_length={length}",
        checkpoint_epochs=5,
        search=SearchConfig(
            epochs=20,
            batch_size=64,
            cells=1,
            channels=64,
            augment=PLAIN,
            weights=weights,
            alphas=AlphaConfig(learning_rate=3e-3),
        ),
        retrain=RetrainConfig(
            epochs=20,
            batch_size=64,
            cells=1,
            channels=64,
            auxiliary=0.0,
            drop_path=0.0,
            augment=PLAIN,
            weights=weights,
        ),
    )


def small() -> Config:
    """A third of the questions."""
    config = texts("trec:limit=1800", length=24, space="text:size=small,layers=3,embedded=0.2,dropout=0.2")
    search = replace(config.search, epochs=10, channels=32, alphas=AlphaConfig(learning_rate=0.01))
    return replace(config, search=search, retrain=replace(config.retrain, epochs=15, channels=32))


SETTINGS = {
    "small": small(),
    "sst2": texts("sst2", length=48),
    "sst5": texts("sst5", length=48),
    "trec": texts("trec", length=32),
}


def config(setting: str = "small") -> Config:
    return SETTINGS[setting]
