"""Zero-cost proxies on NAS-Bench-201: rank correlation with the accuracy after training, beside the published ones.

    python scripts/proxies.py experiments/nasbench201_proxies.py --out benchmarks/results/nasbench201_proxies \\
        --others NASLIB_724.csv.gz NASLIB_ZEN.csv.gz

Hardware: 2 CPU cores, 1.7 s a cell while others used them too, 724 cells; with --cells 5, the benchmark's own networks,
about five times as long. params and flops: of the benchmark's networks, all 15,625 cells.

One batch of 32 images of JPEG CIFAR-10, normalised, not augmented, the same for all cells; cross-entropy, norms by the
batch; PyTorch's default initialisation, drawn anew for each cell; 16 channels, images of 32x32, zen with one draw. One
cell a stage, where the benchmark has five. What is not finite (the cells through which nothing flows) ranks lowest.

Expected, Spearman on CIFAR-10, with accuracies after 200 epochs. A: recomputed from NASLib's scores of 724 cells (of
NAS-Bench-Suite-Zero, Krishnakumar et al. 2022, arXiv:2210.03230) with the accuracy of one training. B: printed by
zero-cost-nas (Abdelfattah et al. 2021, arXiv:2101.08134) for all cells, with test accuracy; zen: NASLib's scores, too.
    params .738 A   flops .711 A   l2_norm .725 A   plain -.258 A   nwot .786 A   epe_nas .666 A   zen .355 A, .386 B
    grad_norm .607 A, .594 B   snip .608 A, .596 B   grasp .538 A, .514 B   fisher .509 A, .360 B
    synflow .736 A, .737 B   jacob_cov .766 A, .731 B
What came out: benchmarks/results/nasbench201_proxies.json and .png, and nasbench201_proxies_5_cells.json.

What size explains (params, flops, l2_norm) and what counts paths or patterns (synflow, nwot, jacob_cov, epe_nas) came
out as published, within .03: nwot .786, params .738, synflow .738, jacob_cov .739, epe_nas .647, and most cells have
nearly NASLib's rank (Spearman .999 synflow, .987 nwot, .79 jacob_cov and .64 epe_nas, which depend most on the batch).
flops: .738 for .711, since NASLib's counter counts more than convolutions (ranks agree to .996).

Gradients and zen say something else with one cell a stage: grad_norm .26, snip .28, fisher -.09, grasp -.43, zen .67.
It is the depth: with --cells 5 and 240 of the same cells, and in brackets NASLib's scores of these 240: grad_norm .560
(.552), snip .565 (.567), fisher .440 (.439), grasp .469 (.512), zen .270 (.273); ranks agree to .986, .988, .979, .714
and .999. plain, a sum with signs, is mostly noise: -.17 (-.21), ranks agree to .05.

ntk and linear_regions came later and are not in these files.
"""

SETTINGS = {  # name -> proxy, whether of all cells, and two published Spearman correlations on CIFAR-10
    "params": ("params", True, 0.738, None),
    "flops": ("flops", True, 0.711, None),
    "l2_norm": ("l2_norm", False, 0.725, None),
    "grad_norm": ("grad_norm", False, 0.607, 0.594),
    "snip": ("snip", False, 0.608, 0.596),
    "plain": ("plain", False, -0.258, None),
    "grasp": ("grasp", False, 0.538, 0.514),
    "fisher": ("fisher", False, 0.509, 0.36),
    "synflow": ("synflow", False, 0.736, 0.737),
    "jacob_cov": ("jacob_cov", False, 0.766, 0.731),
    "epe_nas": ("epe_nas", False, 0.666, None),
    "nwot": ("nwot", False, 0.786, None),
    "zen": ("zen", False, 0.355, 0.386),
    "ntk": ("ntk", False, None, None),
    "linear_regions": ("linear_regions", False, None, None),
}


def proxies() -> dict[str, tuple[str, bool, float | None, float | None]]:
    return dict(SETTINGS)
