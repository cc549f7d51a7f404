"""HAT: transformers for translation, whose encoder and decoder are searched apart (Wang et al. 2020, arXiv:2005.14187).

    dnas search experiments/hat.py:small --out runs/hat
    dnas search experiments/hat.py:iwslt --data parallel_text:source=FILE,target=FILE --out runs/hat_iwslt
    dnas retrain runs/hat

Of mit-han-lab/hardware-aware-transformers, `configs/iwslt14.de-en`. A supernet whose steps train one random path each,
then 30 generations of 25 parents, 50 mutants and 50 crossovers, by the supernet's validation perplexity. Theirs are
kept below a latency that a network predicts from measurements; here nothing bounds them.

Hardware: 2 CPU cores for small, one GPU for iwslt. Not yet run by this project.

small: 4,000 pairs of Multi30k, the space of HAT with an eighth of all widths: to see all of it work. Expected: no
    published numbers.
iwslt: the space and the training of IWSLT'14, German to English, on all pairs of your files; 44 epochs are their 50,000
    updates. Departures: a cosine in the place of the inverse square root, batches of 128 pairs in the place of 4,096
    tokens, weights of encoder and decoder alone. Expected, of the authors' networks, without a latency of ours: 33.4 to
    34.8 BLEU of 16.8 to 31.5 million parameters beside the embeddings.
"""

from dataclasses import replace

from multi30k import translation

from dnas.config import Config, WeightConfig

METHOD = "spos:population=100,generations=30,parents=25,mutation=0.3"
EIGHTH = "widths=64+80,decoder_widths=64+80,hidden=64+128+256,depths=3,decoder_depths=1+2+3,inner=64"
TEXTS = "vocabulary=10000,max_length=100,buckets=4,beam=5"


def hat(data: str, space: str, task: str, weights: WeightConfig | None = None, *, search: int, retrain: int) -> Config:
    """weights: in the place of those of Multi30k. search, retrain: epochs."""
    found = replace(translation(data, space, task, search=search, retrain=retrain), method=METHOD)
    if weights is None:
        return found
    plans = {name: replace(getattr(found, name), batch_size=128, weights=weights) for name in ("search", "retrain")}
    return replace(found, **plans)


SETTINGS = {
    "small": hat(
        "multi30k:limit=4000",
        f"size=hat_iwslt,{EIGHTH}",
        "tokens=words,least=2,max_length=24",
        search=6,
        retrain=12,
    ),
    "iwslt": hat(
        "parallel_text:source=iwslt14.de,target=iwslt14.en",
        "size=hat_iwslt,dropout=0.375",
        TEXTS,
        WeightConfig(5e-4, "adam:beta2=0.98", "cosine", warmup_epochs=9, decay=1e-4),
        search=44,
        retrain=44,
    ),
}


def config(setting: str = "small") -> Config:
    return SETTINGS[setting]
