"""What search buys on sequences: texts, language, translation and speech, beside an architecture made by hand.

    dnas compare experiments/small_sequences.py:trec --random_cells 6 --out runs/sequences_trec
    dnas compare experiments/small_sequences.py:sst2 --random_cells 6 --out runs/sequences_sst2
    dnas compare experiments/small_sequences.py:speech --random_cells 6 --out runs/sequences_speech
    dnas compare experiments/small_sequences.py:ptb --random_cells 4 --out runs/sequences_ptb
    dnas compare experiments/small_sequences.py:multi30k --random_cells 3 --out runs/sequences_multi30k
    python scripts/bought.py runs/sequences_* --out benchmarks/results/sequences.png
    dnas search experiments/small_sequences.py:trec --out runs/trec

Hardware: 2 CPU cores, some five minutes a task, ten to fifteen for ptb and multi30k (estimated from single trainings;
much of it compiles networks, as every found cell is another program). Every row is trained alike: three searches of
each method, one architecture of the same space made by hand with three seeds, and random architectures. That of texts,
81,194 parameters for trec, lies within random ones (75,018 to 85,482), as does that of ptb; the residual
block has 43,010, random cells 18,594 to 33,714. Expected: no published numbers for settings this small. What came
out is in docs/results.md: transformers found on ptb have a perplexity of 213.5, the one made by hand 231.3, random ones
224.4; those found on multi30k have a BLEU of 21.4, those by hand 16.6 and 16.5, random ones 19.2; on the other tasks no
method can be told from random architectures.

trec, sst2: questions in six classes and reviews in two, by three layers of TextNAS' space; by hand: three convolutions
    of width 3, one behind the other, as those of Kim 2014 (arXiv:1408.5882) but for their order.
speech: spoken digits of a speaker who was not heard before, by cells of NAS-Bench-201 on log-mel spectra; by hand: two
    3x3 convolutions and a skip connection, a residual block (He et al. 2016, arXiv:1512.03385).
ptb: the next word of Penn Treebank's first 100,000, by two layers of a decoder; by hand: the transformer of Vaswani et
    al. 2017 (arXiv:1706.03762), with the norm before. Recurrent cells on the same words: experiments/darts_rnn.py.
multi30k: captions from English to German, BLEU of lowercased tokens, by two layers of an encoder and two of a decoder;
    by hand: as for ptb, on either side, and with as many parameters as what was found.
"""

from dataclasses import replace
from typing import Any, NamedTuple

from dnas.compare import Baseline, Protocol
from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig

SEEDS = 3
PLAIN = AugmentConfig(pad=0, flip=False)
ADAM = WeightConfig(2e-3, "adam:beta2=0.98", "cosine", warmup_epochs=1, decay=0.0, clip=1.0)
SGD = WeightConfig(0.05, "sgd:nesterov=true", "cosine", decay=5e-4)
CNN = "text(operation=[conv_3, conv_3, conv_3], input=[1, 1, 1])"
RESIDUAL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
LAYERS = (
    "depth=[2]",
    "heads=[2, 2]",
    "ratio=[2, 2]",
    "feed_forward=[relu, relu]",
    "mixer=[attention, attention]",
    "norm=[pre, pre]",
)
DECODER = ", ".join(["width=[64]", *LAYERS])
BOTH = ", ".join([DECODER, *(f"decoder_{decision}" for decision in LAYERS)])
LARGER = BOTH.replace("ratio=[2, 2]", "ratio=[4, 4]").replace("[relu, relu]", "[gated, gated]")
THREE = "text:size=small,layers=3,embedded=0.2,dropout=0.2"
WIDE = "widths=64,depths=2,heads=1+2+4,ratios=1+2+4,head=16"


class Compared(NamedTuple):
    """A task: how it is searched and trained, but for the method; what was made by hand; what is measured, if that is
    not the score of a training."""

    config: Config
    by_hand: dict[str, str]
    methods: tuple[str, ...] = ("darts", "gdas")
    measure: str = ""


def trained(
    space: str, data: str, task: str, weights: WeightConfig, *, search: int, retrain: int, **more: Any
) -> Config:
    """search, retrain: epochs. more: of both, as channels, which transformers decide themselves."""
    alike: dict[str, Any] = {"batch_size": 64, "cells": 1, "augment": PLAIN, "weights": weights} | more
    return Config(
        space=space,
        data=data,
        task=task,
        seeds=SEEDS,
        checkpoint_epochs=5,
        search=SearchConfig(epochs=search, alphas=AlphaConfig(learning_rate=0.01), **alike),
        retrain=RetrainConfig(epochs=retrain, auxiliary=0.0, drop_path=0.0, **alike),
    )


def sentences(data: str, length: int) -> Compared:
    task = f"text_classification:least=2,dropped=0.1,max_length={length}"
    return Compared(trained(THREE, data, task, ADAM, search=6, retrain=10, channels=32), {"CNN": CNN})


def speech() -> Compared:
    data, task = "spoken_digits:by=speaker,limit=1200", "audio_classification:window=40,hop=20,mels=20,shift=100"
    config = trained("nasbench201", data, task, SGD, search=8, retrain=10, channels=8)
    return Compared(config, {"residual block": RESIDUAL})


def language() -> Compared:
    space = f"transformer:reads=decoder,{WIDE}"
    config = trained(space, "ptb:limit=100000", "language:bptt=20", ADAM, search=3, retrain=6, batch_size=32)
    return Compared(config, {"transformer": f"transformer({DECODER})"}, ("darts",))


def translation() -> Compared:
    task = "translation:shared=true,vocabulary=2000,max_length=28"
    config = trained(f"transformer:reads=both,{WIDE}", "multi30k:limit=6000", task, ADAM, search=2, retrain=10)
    by_hand = {"transformer": f"transformer({BOTH})", "larger transformer": f"transformer({LARGER})"}
    return Compared(config, by_hand, ("darts",), "bleu")


SETTINGS = {
    "trec": sentences("trec:limit=3000", length=20),
    "sst2": sentences("sst2:limit=3000", length=32),
    "speech": speech(),
    "ptb": language(),
    "multi30k": translation(),
}


def configs(setting: str = "trec") -> dict[str, Config | Baseline]:
    task = SETTINGS[setting]
    searches = {method: replace(task.config, method=method) for method in task.methods}
    return searches | {name: Baseline(genotype, seeds=SEEDS) for name, genotype in task.by_hand.items()}


def protocol(setting: str = "trec") -> Protocol:
    return Protocol(measure=SETTINGS[setting].measure)


def config(setting: str = "trec") -> Config:
    return replace(SETTINGS[setting].config, method="darts", seeds=1)
