"""Neumann: the implicit hypergradient of the converged inner problem, its inverse Hessian by a Neumann series.

Lorraine, Vicol and Duvenaud, "Optimizing Millions of Hyperparameters by Implicit Differentiation", AISTATS 2020,
arXiv:1911.02590 (algorithm 3), brought to architectures by iDARTS (Zhang et al., ICML 2021, arXiv:2106.10784). From the
papers; the step of the series is the weight optimiser's learning rate.
"""

from dnas.search import hypergrad
from dnas.search.method import Method


def method(*, terms: int = 3) -> Method:
    """`terms`: Hessian-vector products in the series; each costs about two gradients."""
    return Method(hypergrad=hypergrad.neumann(terms))
