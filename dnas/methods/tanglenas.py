"""TangleNAS: gradient-based search with entangled weights; a 3x3 convolution is the middle of the 5x5 beside it.

    edge(x) = sum_o mix_o o(x),  of which convolutions that differ in kernel size only are one:
    sum_k mix_k conv_k(x) = t conv(x; K * sum_k (mix_k / t) P_k),  t = sum_k mix_k

Sukthanker, Krishnakumar, Safari and Hutter, "Weight-Entanglement Meets Gradient-Based Neural Architecture Search",
2023, arXiv:2312.10440 (section 3). Reference code: automl/TangleNAS, followed in what is entangled: in NAS-Bench-201
1x1 in 3x3; in DARTS both kernels of sep 3x3 in those of sep 5x5, and dil 3x3 in dil 5x5. K is the largest kernel, P_k
one in its middle, where the k-th is, else zero (`nets.entangled`). Unlike there t stands in front: inside of the
convolution, as in their code, the norm behind it divides it out. Then what the mix gives to both convolutions together
has no effect beside the other operations, and where it is nothing, the norm's running mean stays in evaluation.
`sampling`: "dirichlet", as in `drnas` without its phases, or "softmax", as in `darts`; their code has both. Where no
two operations of a space differ in kernel size only, it is one of these.
"""

from dnas.errors import unknown
from dnas.search import relax, supernets
from dnas.search.method import Method

SAMPLING = {"dirichlet": relax.dirichlet, "softmax": relax.softmax}


def method(*, sampling: str = "dirichlet") -> Method:
    """`sampling`: how alphas become a mix, "dirichlet" or "softmax"."""
    if sampling not in SAMPLING:
        raise unknown("sampling of method 'tanglenas':", sampling, SAMPLING)
    return Method(
        relax=SAMPLING[sampling],
        evaluation_mix=relax.keyless(relax.softmax),
        supernet=supernets.entangled,
    )
