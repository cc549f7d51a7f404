"""Our method against DARTS on 2,000 images of JPEG CIFAR-10 in the NAS-Bench-201 space, 8 seeds each.

    dnas compare experiments/small_agreement.py --out runs/small_agreement

Hardware: 2 CPU cores. `agreement` shares its alphas among 4 supernets, so that its step takes four gradients of DARTS
for one (and 7 x the time); `darts-4x` takes as many in four times the epochs. Expected (commit fd00bff, --lookup,
without agreement-mean): darts 86.18 +- 15.14 %, agreement 83.42 +- 13.19 %, darts-4x 80.37 +- 16.24 %; medians 92.0,
87.4 and 88.9 %: no sign that it helps. The found cells are looked up in the table of NAS-Bench-201 ($DNAS_SHARED) and
trained alike.
"""

from dataclasses import replace

from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig

AUGMENT = AugmentConfig(pad=1, flip=True)
BASE = Config(
    space="nasbench201",
    data="cifar10_jpeg:limit=2000,size=16",
    seeds=8,
    checkpoint_epochs=4,
    search=SearchConfig(epochs=8, cells=1, channels=8, alphas=AlphaConfig(learning_rate=0.01), augment=AUGMENT),
    retrain=RetrainConfig(epochs=8, batch_size=64, cells=1, channels=8, auxiliary=0.0, drop_path=0.0, augment=AUGMENT),
)


def configs() -> dict[str, Config]:
    return {
        "darts": BASE,
        "darts-4x": replace(BASE, search=replace(BASE.search, epochs=32)),
        "agreement": replace(BASE, method="agreement"),
        "agreement-mean": replace(BASE, method="agreement:rule=mean"),
    }
