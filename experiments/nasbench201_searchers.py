"""Every searcher on the table of NAS-Bench-201 at the same cost: 300 evaluations after 200 epochs on CIFAR-100.

    dnas blackbox experiments/nasbench201_searchers.py --out runs/nasbench201_searchers
    dnas blackbox experiments/nasbench201_searchers.py:bananas --out runs/bananas

Hardware: 2 CPU cores, ten minutes. Searchers see accuracies of one training, as papers on this table do, which are test
accuracies (`dnas/tables/nasbench201.py`); shown are test accuracies after 200 epochs, means over seeds. What runs trial by trial has fewer runs. An evaluation after 12 of the 200 epochs, which Hyperband,
ASHA and DEHB may ask for, counts as 0.06 of one; in this table it is the end of a training of 12 epochs, whose learning
rate has gone down, and says more than the first epochs of a long one would.

Expected: BANANAS is above evolution and random search (White et al. 2021, arXiv:1910.11858, and naszilla, whose figures
give no numbers), and about where local search is (73.48 ± 0.04 by an independent implementation on this table). No
paper has this table of the others.
What came out: benchmarks/results/nasbench201_searchers.json and .png.
"""

from dnas.blackbox.config import BlackboxConfig

SETTINGS = {  # name -> searcher, runs
    "random": ("random_search", 500),
    "reinforce": ("reinforce", 500),
    "evolution": ("evolution:population=30,tournament=10", 500),
    "nsga2": ("nsga2", 500),
    "local": ("local_search", 500),
    "bananas": ("bananas", 10),
    "tpe": ("tpe", 10),
    "cmaes": ("cmaes", 10),
    "hyperband": ("hyperband", 50),
    "asha": ("asha", 50),
    "dehb": ("dehb", 50),
}


def searches() -> dict[str, BlackboxConfig]:
    evaluator = "table:data=cifar100,epochs=200"
    return {
        name: BlackboxConfig(searcher, evaluator, budget="300evaluations", runs=runs)
        for name, (searcher, runs) in SETTINGS.items()
    }
