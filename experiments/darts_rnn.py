"""DARTS' recurrent cell on Penn Treebank (Liu, Simonyan and Yang, ICLR 2019, arXiv:1806.09055, section 3.2).

    dnas search experiments/darts_rnn.py --out runs/darts_rnn
    dnas retrain runs/darts_rnn
    dnas search experiments/darts_rnn.py:small --out runs/small_rnn
    dnas retrain runs/small_rnn

Hardware: one GPU for ptb, 2 CPU cores for small. Perplexity, less is better. The alphas are trained on the official
validation part, as published; the test part selects nothing.

ptb: search with 300 units, then a network of 850 units (22,960,000 parameters), settings of quark0/darts `rnn/`. Not
    yet run by this project. Expected test perplexity: first order 57.6, second order 55.7 (table 2 of the paper), a
    random cell 59.4; published cost: 0.5 and 1 GPU-day. The network is trained by SGD, and by averaged SGD from when
    the validation loss stands still; as published, the epoch with the best validation perplexity is tested, and none
    of them ends the training before the last. Sequences have a random length, as there: in the search 35 or 17 words,
    in the training around these. Departures: those of the alphas have one too, theirs 35 words; an epoch has the steps
    that the mean length makes.
small: a cell of 4 nodes with 64 units on the first 100,000 words, to see all of it work; `scripts/language.py` sets it
    beside random cells and a unigram model. What came out (benchmarks/results/small_rnn.json), test perplexity of 4
    seeds each: searched 185.15 ± 0.00, unigram 496.2; 12 random cells 181.1 ± 4.8 (the first four of them, which
    `scripts/language.py` draws, 177.6). So short a search ends with identities on all edges, as one of images may end
    with skip connections, and such a cell is worse than a random one. Alphas that begin after 7 of 12 epochs end there
    too, on 15 of 16 edges of 4 seeds. By method: `gdas` 179.9 ± 2.1; 179.2 ± 1.1 by
    `darts_pt:blank=true,interval=1,criterion=loss` after 16 epochs, with identities as well (commit a1f7557);
    179.9 ± 3.0 by `dnas blackbox`'s asha with short trainings. Random search with eight trainings a seed has
    177.7 ± 0.9, better than a random cell on average, with a one-sided permutation test of p = 0.10; its command is in
    docs/results.md.
"""

from dnas.config import AlphaConfig, Config, RetrainConfig, SearchConfig, WeightConfig

PLAIN_SGD = "sgd:momentum=0"
SETTINGS = {
    "ptb": Config(
        space="rnn",
        method="darts:order=second",
        data="ptb",
        task="language:bptt=35,tar=0.001,halved=0.05,spread=5",
        seed=3,
        search=SearchConfig(
            epochs=50,
            cells=1,
            channels=300,
            batch_size=256,
            weights=WeightConfig(learning_rate=20.0, optimiser=PLAIN_SGD, schedule="constant", decay=5e-7, clip=0.25),
            alphas=AlphaConfig(learning_rate=3e-3, beta1=0.9, decay=1e-3),
        ),
        retrain=RetrainConfig(
            epochs=3600,
            cells=1,
            channels=850,
            batch_size=64,
            average="asgd:patience=5",
            patience=3600,
            weights=WeightConfig(learning_rate=20.0, optimiser=PLAIN_SGD, schedule="constant", decay=8e-7, clip=0.25),
        ),
    ),
    "small": Config(
        space="rnn:nodes=4,embedded=0.1,inputs=0.2,hidden=0.1,outputs=0.2",
        method="darts",
        data="ptb:limit=100000",
        task="language:bptt=20,tar=0.001",
        search=SearchConfig(
            epochs=8,
            cells=1,
            channels=64,
            batch_size=32,
            weights=WeightConfig(learning_rate=10.0, optimiser=PLAIN_SGD, schedule="constant", decay=5e-7, clip=0.25),
            alphas=AlphaConfig(learning_rate=3e-3, beta1=0.9),
        ),
        retrain=RetrainConfig(
            epochs=15,
            cells=1,
            channels=64,
            batch_size=32,
            weights=WeightConfig(learning_rate=10.0, optimiser=PLAIN_SGD, schedule="constant", decay=5e-7, clip=0.25),
        ),
    ),
}


def config(setting: str = "ptb") -> Config:
    return SETTINGS[setting]
