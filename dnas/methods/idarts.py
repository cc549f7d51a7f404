"""iDARTS: the implicit hypergradient of the inner optimum, its inverse Hessian by a Neumann series or CG.

    dF/da - d2L/da dw (d2L/dw2)^-1 dF/dw

Zhang, Su, Pan, Chang, Abbasnejad and Haffari, "iDARTS: Differentiable Architecture Search with Stochastic Implicit
Gradients", ICML 2021, arXiv:2106.10784 (equations 6 to 9); the series is also algorithm 3 of Lorraine, Vicol and
Duvenaud, "Optimizing Millions of Hyperparameters by Implicit Differentiation", AISTATS 2020, arXiv:1911.02590. From the
papers: the published notebook differs from them. The T inner steps are `search.inner_steps`, taken before the alphas'
step with `search.order` "weights_first". The step of the series is the weight optimiser's learning rate; conjugate
gradients solve the system with `damping` added to the Hessian's diagonal, which must outweigh its negative curvature.
"""

from typing import Annotated

from dnas.errors import unknown
from dnas.ranges import Amount, Whole, beside
from dnas.search import hypergrad
from dnas.search.method import Method


def method(
    *, solver: str = "neumann", terms: Whole = 2, damping: Annotated[Amount, beside(solver="cg")] = 0.1
) -> Method:
    """solver: "neumann" or "cg"; terms: Hessian-vector products, each costs about two gradients; damping: of "cg"."""
    solvers = {"neumann": hypergrad.neumann(terms), "cg": hypergrad.conjugate_gradient(terms, damping)}
    if solver not in solvers:
        raise unknown("solver of method 'idarts':", solver, solvers)
    return Method(hypergrad=solvers[solver])
