"""Every searcher on the table of NAS-Bench-201 at the same cost, by evaluations and by seconds.

    dnas blackbox experiments/nasbench201_searchers.py --out runs/nasbench201_searchers
    dnas blackbox experiments/nasbench201_searchers.py:bananas --out runs/bananas

Hardware: 2 CPU cores, ten minutes. Shown are test accuracies after 200 epochs, means over seeds. What runs trial by
trial has fewer runs.

NAME: 300 evaluations on CIFAR-100. Searchers see what papers call validation accuracies after 200 epochs, which are
test accuracies of one training (dnas/tables/nasbench201.py). An evaluation after 12 of the 200 epochs, which Hyperband,
ASHA and DEHB may ask for, counts as 0.06 of one; here it is the end of a training of 12 epochs, whose learning rate has
gone down, and says more than the first epochs of a long one would.
nb201-NAME: 12,000 s on CIFAR-10 by validation accuracies after 12 epochs, the protocol of NAS-Bench-201.

Expected: BANANAS is above evolution and random search (White et al. 2021, arXiv:1910.11858, and naszilla, whose figures
give no numbers), and about where local search is (73.48 ± 0.04 by an independent implementation on this table). No
paper has this table of the others. For nb201-NAME: experiments/nasbench201_blackbox.py.
What came out: benchmarks/results/nasbench201_searchers.json and .png.
"""

from dnas.blackbox.config import BlackboxConfig

EVOLUTION = "evolution:population=30,tournament=10"
SETTINGS = {  # name -> searcher, runs
    "random": ("random_search", 500),
    "reinforce": ("reinforce", 500),
    "evolution": (EVOLUTION, 500),
    "nsga2": ("nsga2", 500),
    "local": ("local_search", 500),
    "bananas": ("bananas", 10),
    "tpe": ("tpe", 10),
    "cmaes": ("cmaes", 10),
    "hyperband": ("hyperband", 50),
    "asha": ("asha", 50),
    "dehb": ("dehb", 50),
    "nb201-nsga2": ("nsga2", 500),
    "nb201-local": ("local_search", 500),
    "nb201-bananas": ("bananas", 10),
    "nb201-tpe": ("tpe", 10),
    "nb201-cmaes": ("cmaes", 10),
}


def searches() -> dict[str, BlackboxConfig]:
    found = {}
    for name, (searcher, runs) in SETTINGS.items():
        by_seconds = name.startswith("nb201")
        evaluator = "table:data=cifar10,epochs=12" if by_seconds else "table:data=cifar100,epochs=200"
        budget = "12000s" if by_seconds else "300evaluations"
        found[name] = BlackboxConfig(searcher, evaluator, budget=budget, runs=runs)
    return found
