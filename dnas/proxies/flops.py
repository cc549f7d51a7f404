"""flops: multiply-adds for one image. No paper: the baseline that most proxies fail to beat."""

from dnas.proxies.protocol import Proxy, Score


def proxy() -> Proxy:
    """It has no settings. It reads no weights."""
    return lambda subject: lambda evidence: Score(subject.costs(*evidence.mix).multiply_adds)
