"""Learned latencies on HELP's 27 devices: held-out networks, and devices of which 10 networks are measured.

    python scripts/latency_predictors.py experiments/latency_predictors.py --out benchmarks/results/latency_predictors

Lee et al., "HELP: Hardware-Adaptive Efficient Latency Prediction for NAS via Meta-Learning", NeurIPS 2021,
arXiv:2106.08630; data of HayeonLee/HELP, all cells of NAS-Bench-201 and 5,000 networks of FBNet. Hardware: one
CPU core.

Each predictor learns from 100 or from 900 networks of a device and is judged by 3,000 others, the same for all: table,
a sum over layers; gaussian_process; mlp. Spearman's rank correlation and the median relative error.

Transfer: of the 13 devices that HELP trains and validates on (its published split) 900 networks are known, and a
Gaussian process predicts the others; of the unseen device 10 random ones, others in each of 10 repetitions. ridge
and mixture (`dnas/costs/predictors.py`) make the prediction for the unseen device of those for the 13; alone is a
Gaussian process that has the 10 networks and nothing else. HELP has 10 networks of the unseen device as well.

Expected, Spearman, HELP's tables 3 and 2:
    nasbench201  titan_rtx_256 .987  gold_6226 .989  pixel2 .802  raspi4 .890  eyeriss .940  fpga .985  mean .932
    fbnet        raspi4 .887  eyeriss .943  fpga .892  mean .910
Commit 8de8261 gave, by ridge:
    nasbench201  titan_rtx_256 .989  gold_6226 .986  pixel2 .890  raspi4 .924  eyeriss .973  fpga .995  mean .960
    fbnet        raspi4 .931  eyeriss .975  fpga .925  mean .943
and of 900 networks of a device, mean over the 27, Spearman and median error:
    nasbench201  table .976 (3.2 %)  gaussian_process .978 (3.1 %)  mlp .959 (4.5 %)
    fbnet        table .945 (1.9 %)  gaussian_process .946 (1.8 %)  mlp .922 (2.7 %)
"""

from typing import Any

SHARED = ("silver_4114", "silver_4210r", "samsung_a50", "pixel3", "essential_ph_1", "samsung_s7", "gold_6240")
SETTINGS = {
    "nasbench201": {
        "known": (*(f"{gpu}_{batch}" for gpu in ("1080ti", "titanx") for batch in (1, 32, 256)), *SHARED),
        "unseen": ("titan_rtx_256", "gold_6226", "pixel2", "raspi4", "eyeriss", "fpga"),
        "published": (0.987, 0.989, 0.802, 0.890, 0.940, 0.985),
    },
    "fbnet": {
        "known": (*(f"{gpu}_{batch}" for gpu in ("1080ti", "titanx") for batch in (1, 32, 64)), *SHARED),
        "unseen": ("raspi4", "eyeriss", "fpga"),
        "published": (0.887, 0.943, 0.892),
    },
}


def predictors() -> dict[str, Any]:
    return dict(SETTINGS)
