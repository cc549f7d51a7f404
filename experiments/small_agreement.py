"""Our method against DARTS on 2,000 images of JPEG CIFAR-10 in the NAS-Bench-201 space, 8 seeds each.

    dnas compare experiments/small_agreement.py --lookup --out runs/small_agreement
    dnas compare experiments/small_agreement.py --lookup --seed 8 --only darts darts-4x agreement --out runs/eight_more
    dnas search experiments/small_agreement.py:agreement --out runs/agreement

Hardware: 2 CPU cores, 20 and 13 minutes. `agreement` shares its alphas among 4 supernets, so that its step takes four
gradients of DARTS for one (and 4.8 x the time); `darts-4x` takes as many in four times the epochs. Expected (commits
cb11f60 and 2c0097f): agreement 90.95 +- 2.81 %, darts 87.76 +- 11.43 %, darts-4x 84.96 +- 13.08 % over 16 seeds,
medians 92.2, 92.1 and 89.8 %; agreement-mean 89.54 +- 3.51 % over 8. No search of agreement ended below 80 %, 2 and 3
of 16 of the others did, which may be chance: permutation tests of the means give p = 0.36 and 0.09. At a single level,
on the images of the weights alone, 8 seeds (cf77515): darts-single 90.68 +- 1.88 %, gaea-single 91.95 +- 1.29 %,
darts-single-4x 92.15 +- 1.22 %, none below 87 %; against darts-4x p = 0.26, 0.12 and 0.10. The found cells are looked
up in the table of NAS-Bench-201; without --lookup they are also trained alike.
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
SETTINGS = {
    "darts": BASE,
    "darts-4x": replace(BASE, search=replace(BASE.search, epochs=32)),
    "agreement": replace(BASE, method="agreement"),
    "agreement-mean": replace(BASE, method="agreement:rule=mean"),
    "darts-single": replace(BASE, search=replace(BASE.search, levels="single")),
    "darts-single-4x": replace(BASE, search=replace(BASE.search, levels="single", epochs=32)),
    "gaea-single": replace(BASE, method="gaea", search=replace(BASE.search, levels="single")),
}


def configs() -> dict[str, Config]:
    return SETTINGS


def config(setting: str = "darts") -> Config:
    return SETTINGS[setting]
