"""Schedules against PyTorch.

The numbers were made by torch 2.13 in float64: 5 epochs of 2 steps with a peak of 0.1, `scheduler.step()` after every
epoch, or after every step where the test says so.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.config import RetrainConfig, WeightConfig
from dnas.errors import UserError
from dnas.training.weights import rate_of

EPOCHS, STEPS, PEAK = 5, 2, 0.1
BY_EPOCH = {
    "cosine:end=0.001": [0.1, 0.09054634122, 0.06579634122, 0.03520365878, 0.01045365878],  # CosineAnnealingLR
    "linear:end=0.01": [0.1, 0.082, 0.064, 0.046, 0.028],  # LinearLR(1.0, 0.1, 5)
    "exponential": [0.1, 0.097, 0.09409, 0.0912673, 0.088529281],  # ExponentialLR(0.97)
    "exponential:gamma=0.5,every=2": [0.1, 0.1, 0.05, 0.05, 0.025],  # StepLR(2, 0.5)
    "step:milestones=1+3": [0.1, 0.01, 0.01, 0.001, 0.001],  # MultiStepLR([1, 3], 0.1)
    "constant": [0.1] * 5,
}
BY_STEP = {
    "cosine:end=0.001,by=step": [  # CosineAnnealingLR(10, 0.001)
        *(0.1, 0.09757729756, 0.09054634122, 0.07959536999, 0.06579634122),
        *(0.0505, 0.03520365878, 0.02140463001, 0.01045365878, 0.003422702443),
    ],
    "linear:end=0.01,by=step": [0.1, 0.091, 0.082, 0.073, 0.064, 0.055, 0.046, 0.037, 0.028, 0.019],
    "one_cycle": [  # OneCycleLR(0.1, 10, cycle_momentum=False)
        *(0.004, 0.052, 0.1, 0.0950484632, 0.08117456539),
        *(0.06112620219, 0.03887419781, 0.01882583461, 0.004951936799, 4e-07),
    ],
    "one_cycle:rise=0.5,first=10,last=100,shape=linear": [
        *(0.01, 0.0325, 0.055, 0.0775, 0.1),
        *(0.08002, 0.06004, 0.04006, 0.02008, 0.0001),
    ],
}
WARM = [  # SequentialLR([LinearLR(0.25, 1.0, 4), CosineAnnealingLR(6)], [4]), by step
    *(0.025, 0.04375, 0.0625, 0.08125, 0.1),
    *(0.09330127019, 0.075, 0.05, 0.025, 0.006698729811),
]


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64():
        yield


def rates(choice, start=0, epochs=EPOCHS, steps=STEPS, **more):
    rate = rate_of(WeightConfig(learning_rate=PEAK, schedule=choice, **more), epochs, steps, start)
    return np.array([rate(step) for step in range(start, start + epochs * steps)])


@pytest.mark.parametrize("choice", BY_EPOCH)
def test_the_rates_are_those_of_pytorch(choice):
    np.testing.assert_allclose(rates(choice), np.repeat(BY_EPOCH[choice], STEPS), rtol=1e-9)


@pytest.mark.parametrize("choice", BY_STEP)
def test_the_rates_by_step_are_those_of_pytorch(choice):
    np.testing.assert_allclose(rates(choice), BY_STEP[choice], rtol=1e-7)


def test_a_warm_up_comes_before_a_schedule():
    warm = {"warmup_epochs": 2, "warmup_start": 0.25}
    np.testing.assert_allclose(rates("cosine:by=step", **warm), WARM, rtol=1e-9)
    np.testing.assert_allclose(rates("constant", **warm), [*WARM[:4], *[0.1] * 6], rtol=1e-9)
    steps = rates("step:milestones=1", warmup_epochs=3)  # counted from its end
    np.testing.assert_allclose(steps, [*np.arange(6) / 60, 0.1, 0.1, 0.01, 0.01], rtol=1e-9)


@pytest.mark.parametrize("choice", [*find.described("schedule"), *BY_EPOCH, *BY_STEP])
@pytest.mark.parametrize("warmup", [0, 2])
def test_every_schedule_begins_where_it_is_told_and_may_be_traced(choice, warmup):
    choice = choice if not choice.startswith("step") else "step:milestones=1+2"
    if choice.startswith("one_cycle"):
        warmup = 0  # refused, see below
    first = rates(choice, warmup_epochs=warmup)
    np.testing.assert_array_equal(rates(choice, start=7, warmup_epochs=warmup), first)
    config = WeightConfig(learning_rate=PEAK, schedule=choice, warmup_epochs=warmup)
    traced = jax.jit(jax.vmap(rate_of(config, EPOCHS, STEPS)))(jnp.arange(EPOCHS * STEPS))
    np.testing.assert_allclose(traced, first, rtol=1e-9)
    assert first.max() == pytest.approx(PEAK) and first.min() >= 0


def test_part_of_an_epoch_is_rounded_to_steps():
    """EfficientNet's: 2.4 epochs of 10 steps are 24."""
    choice = "exponential:gamma=0.97,every=2.4"
    np.testing.assert_allclose(rates(choice, epochs=5, steps=10), PEAK * 0.97 ** (np.arange(50) // 24), rtol=1e-9)


@pytest.mark.parametrize("config, end", [(WeightConfig(), 0.001), (RetrainConfig().weights, 0.0)])
def test_the_default_is_the_protocol_of_darts(config, end):
    rate = rate_of(config, 50, 10)
    values = np.array([rate(step) for step in range(500)]).reshape(50, 10)
    assert (values == values[:, :1]).all()
    expected = end + (0.025 - end) * (1 + np.cos(np.pi * np.arange(50) / 50)) / 2
    np.testing.assert_allclose(values[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize(
    "choice, more, says",
    [
        ("cosine:end=0.2", {}, "end=0.2, which is above the learning rate 0.1"),
        ("linear:end=0.2", {}, "end=0.2, which is above the learning rate 0.1"),
        ("cosine:by=batch", {}, "Unknown 'by' of schedule 'cosine': 'batch'. Known: epoch, step"),
        ("linear:by=steps", {}, "Did you mean step"),
        ("step:milestones=1+5", {}, "milestone at epoch 5, but 5 epochs"),
        ("step:milestones=1+3", {"warmup_epochs": 2}, "milestone at epoch 3, but 3 epochs"),
        ("step:milestones=3+1", {}, "rising epochs from 1 on, as in '150\\+225', not '3\\+1'"),
        ("step:milestones=1+1", {}, "rising epochs"),
        ("step:milestones=0+1", {}, "rising epochs"),
        ("step:milestones=1.5", {}, "rising epochs"),
        ("step:milestones=", {}, "rising epochs"),
        ("step:gamma=1", {}, "must be above 0 and below 1"),
        ("exponential:every=5", {}, "falls every 5 epochs, but has 5"),
        ("one_cycle:shape=cubic", {}, "Unknown 'shape' of schedule 'one_cycle'"),
        ("one_cycle:rise=0.1", {}, "rises for 0.1 of 10 steps"),
        ("one_cycle", {"warmup_epochs": 1}, "'one_cycle' has a rise of its own: set weights.warmup_epochs to 0"),
        ("constant:end=1", {}, "setting of schedule constant: 'end'"),
        ("constant", {"warmup_epochs": 5}, "warmup_epochs is 5, .* has 5 epochs"),
        ("constant", {"warmup_start": 0.5}, "warmup_start is 0.5, but weights.warmup_epochs is 0"),
    ],
)
def test_what_has_no_effect_is_refused(choice, more, says):
    with pytest.raises(UserError, match=says):
        rates(choice, **more)


def test_a_rate_may_be_built_while_something_is_traced():
    config = WeightConfig(learning_rate=PEAK, schedule="cosine:by=step", warmup_epochs=2, warmup_start=0.25)
    traced = jax.jit(lambda step: rate_of(config, EPOCHS, STEPS)(step))(5)
    np.testing.assert_allclose(traced, WARM[5], rtol=1e-9)
