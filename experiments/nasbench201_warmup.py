"""Warm-up on NAS-Bench-201: searchers begin with the best of random cells by a zero-cost proxy (arXiv:2101.08134).

    dnas blackbox experiments/nasbench201_warmup.py --out runs/nasbench201_warmup
    dnas blackbox experiments/nasbench201_warmup.py:evolution-nwot --out runs/evolution_nwot

Hardware: 2 CPU cores, a few minutes. Shown are test accuracies after 200 epochs, means over 500 runs.

random, evolution: 100 evaluations on CIFAR-100, which see what papers call validation accuracies after 200 epochs
(dnas/tables/nasbench201.py).
random-nwot, evolution-nwot: the same, and the first ten are the best of 300 random cells by nwot, of networks with one
cell a stage and 4 channels and 32 images of digits, which every installation has: Spearman's correlation with the test
accuracy on CIFAR-10 was .82 for 200 random cells. A score took 4 ms; a run pays the seconds of its pool.

Expected: with a warm-up a search is better after few evaluations (Abdelfattah et al. 2021, whose figures give no
numbers). What came out, test accuracy on CIFAR-100 [%] of the best so far after 1, 10, 30 and 100 evaluations, and the
median of the rank that the found cells have on CIFAR-100 among all 15,625:
    random            60.90  69.76  70.68  71.52 ± 0.89   rank 102
    random-nwot       69.94  71.52  71.63  71.95 ± 0.88   rank  57
    evolution         62.03  69.73  70.93  72.17 ± 0.99   rank  32
    evolution-nwot    69.94  71.52  71.96  72.59 ± 0.84   rank  10
So ten evaluations after a warm-up are worth a hundred random ones, and evolution keeps the lead.
"""

from dnas.blackbox.config import BlackboxConfig, WarmupConfig

SETTINGS = {  # name -> searcher, what ranks its pool
    "random": ("random_search", ""),
    "random-nwot": ("random_search", "proxy:proxy=nwot,data=digits,channels=4"),
    "evolution": ("evolution", ""),
    "evolution-nwot": ("evolution", "proxy:proxy=nwot,data=digits,channels=4"),
}


def searches() -> dict[str, BlackboxConfig]:
    found = {}
    for name, (searcher, ranks) in SETTINGS.items():
        warmup = WarmupConfig(ranks, pool=300) if ranks else WarmupConfig()
        evaluator = "table:data=cifar100,epochs=200"
        found[name] = BlackboxConfig(searcher, evaluator, budget="100evaluations", runs=500, warmup=warmup)
    return found
