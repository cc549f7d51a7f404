"""plain: weight times gradient with its sign, summed: the baseline of Abdelfattah et al. 2021, arXiv:2101.08134."""

from dnas.proxies.protocol import Proxy, Score, product, total


def proxy() -> Proxy:
    """It has no settings. Parts: w dL/dw of every weight."""

    def build(_):
        def measure(evidence) -> Score:
            return total(product(lambda w, g: w * g, evidence.kernels, evidence.gradient.kernels))

        return measure

    return build
