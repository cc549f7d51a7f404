"""Zero-cost proxies on NAS-Bench-201: rank correlation with the accuracy after training, beside the published ones."""

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
}


def proxies() -> dict[str, tuple[str, bool, float | None, float | None]]:
    return dict(SETTINGS)
