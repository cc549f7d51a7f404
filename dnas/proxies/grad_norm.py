"""grad_norm: the sum over layers of the L2 norm of the loss's gradient.

Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, arXiv:2101.08134; the sum over layers is that of
SamsungLabs/zero-cost-nas, not one norm of the whole gradient.
"""

from dnas.proxies.protocol import Proxy, Score, norms, total


def proxy() -> Proxy:
    """It has no settings. Parts: the norms of every layer."""

    def build(subject):
        def measure(evidence) -> Score:
            return total(norms(evidence.gradient.kernels, subject.kernels))

        return measure

    return build
