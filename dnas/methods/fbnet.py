"""FBNet: samples of the concrete distribution in every layer, and a loss that grows with what they cost.

    mix = softmax((alpha + Gumbel noise) / temperature),   loss = CE x scale log(cost(mix))^power

Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search", CVPR 2019,
arXiv:1812.03443 (equations 2 and 6, section 4.1). From the paper: no search code is public. The temperature falls by
`cooling` from epoch to epoch, and the cost of a sample is a sum over layers, by a table: `cost` is one of dnas list as
budgets name it, latency:device=raspi4 or latency:table=FILE. Their networks are drawn from the distribution of the end,
of which here the most probable one counts. They train 90 epochs, the first 10 with alphas that stand still.
"""

from dataclasses import replace
from typing import Annotated

from dnas.architectures.topology import NetworkSize, Space
from dnas.costs import budget
from dnas.errors import UserError
from dnas.ranges import Amount, Range, Temperature
from dnas.search import relax
from dnas.search.method import Method
from dnas.search.penalty import log_power


def method(
    *,
    hottest: Temperature = 5.0,
    cooling: Annotated[float, Range(0.1, 1)] = 0.956,
    cost: str = "multiply_adds",
    scale: Amount = 0.2,
    power: Amount = 0.6,
) -> Method:
    """`hottest`, the temperature of the first epoch, `cooling`, its factor from epoch to epoch; `cost`, what the loss
    is multiplied by, `scale` times its logarithm to the `power`."""
    choice = budget.named(cost)

    def price(method: Method, space: Space, size: NetworkSize, image_size: int) -> Method:
        check_logarithm(budget.cost_of(*choice, space, size, image_size), "fbnet")
        return replace(method, factor=log_power(budget.expected(cost, space, size, image_size), scale, power))

    return Method(
        relax=relax.concrete(lambda clock: hottest * cooling ** clock.epoch.astype(float)),
        evaluation_mix=relax.keyless(relax.softmax),
        price=price,
    )


def check_logarithm(cost: budget.Cost, method: str) -> None:
    """Errors: `UserError` for a cost that is no sum, or whose logarithm is not positive for the smallest network."""
    least = budget.price(cost, budget.cheapest(cost.space, cost.expected.tables))
    if least <= 1:
        raise UserError(
            f"Method '{method}' takes the logarithm of {cost.name}, and the smallest network has {least:.3g}, where it "
            "is not above 0: choose another cost."
        )
