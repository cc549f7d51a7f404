"""Translation of captions, English to German: a transformer whose widths, depths, heads and layers are searched.

Data: Multi30k (Elliott et al. 2016, arXiv:1605.00459). Space: `transformer`, as HAT has it (Wang et al. 2020,
arXiv:2005.14187), with mixtures of entangled weights (TangleNAS, arXiv:2312.10440).

    dnas search experiments/multi30k.py:small --out runs/multi30k
    dnas retrain runs/multi30k
    dnas test runs/multi30k/retrain
    dnas predict runs/multi30k/retrain "a man is walking ."

Hardware: 2 CPU cores for small, one GPU for base. Expected: no published numbers for these settings. By small
transformers that are made by hand some thirty points of BLEU are reached on test 2016_flickr (quoted, not checked);
BLEU here is of lowercased tokens, as the signature says, so it is none to set beside others that cut texts otherwise.

small: 4,000 of the 29,000 pairs, words that are there twice, one or two layers of width 32 or 64: to see all of it
    work. Not yet run by this project.
captions: all pairs, pieces of words that both languages share, two layers of width 128 on either side, whose heads,
    feed-forward functions and convolutions are searched, so that all networks have nearly as many parameters. Its
    search has not been run; the usual transformer of these sizes, trained alike, has 36.18 BLEU (docs/results.md).
base: all pairs, pieces of words that both languages share, one to three layers of width 64 to 128 on either side. Not
    yet run by this project.
Any other texts: --data parallel_text:source=FILE,target=FILE. The other direction: --data multi30k:direction=de-en.
"""

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

PLAIN = AugmentConfig(pad=0, flip=False)
WEIGHTS = WeightConfig(1e-3, "adam:beta2=0.98", "cosine", warmup_epochs=1, decay=0.0, clip=1.0)
SMALL = "widths=32+64,depths=1+2,heads=1+2,ratios=1+2,feed_forwards=relu+gated,mixers=attention+both,norms=pre,head=16"


def translation(data: str, space: str, task: str, *, search: int, retrain: int) -> Config:
    """search, retrain: epochs."""
    return Config(
        space=f"transformer:reads=both,{space}",
        method="darts",
        data=data,
        task=f"translation:{task}",
        checkpoint_epochs=1,
        search=SearchConfig(
            epochs=search,
            batch_size=64,
            cells=1,
            augment=PLAIN,
            weights=WEIGHTS,
            alphas=AlphaConfig(learning_rate=3e-3),
        ),
        retrain=RetrainConfig(
            epochs=retrain,
            batch_size=64,
            cells=1,
            auxiliary=0.0,
            drop_path=0.0,
            label_smoothing=0.1,
            augment=PLAIN,
            weights=WEIGHTS,
        ),
    )


LAYERS = "widths=128,depths=2,heads=2+4,ratios=4,feed_forwards=relu+gelu+relu2,mixers=attention+both,norms=pre"
SETTINGS = {
    "small": translation("multi30k:limit=4000", SMALL, "tokens=words,least=2,max_length=24", search=3, retrain=12),
    "captions": translation(
        "multi30k",
        f"{LAYERS},head=32",
        "shared=true,vocabulary=4000,max_length=32,buckets=4",
        search=2,
        retrain=12,
    ),
    "base": translation("multi30k", "size=small", "shared=true,vocabulary=8000,max_length=48", search=15, retrain=30),
}


def config(setting: str = "small") -> Config:
    return SETTINGS[setting]
