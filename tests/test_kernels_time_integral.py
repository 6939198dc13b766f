"""Decays by rules: closed forms, published figures, bounds, and standard deviations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.time_activity import PhysicalActivity, physical
from igdd.kernels.time_integral import (
    effective_rate,
    haenscheid,
    log_linear,
    population,
    trapezoid,
)

LUTETIUM = np.log(2) / 159.528  # 1/h, ICRP-107: 6.647 d
HOURS = np.array([3.741111, 27.725278, 103.094167, 123.983611])
KIDNEY = np.array([98.561432, 73.599408, 25.39568, 19.046610])


def made(time, value, sd=None, state="none", rate=LUTETIUM) -> PhysicalActivity:
    return physical(time, value, sd, rate=rate, corrected_to=state)


def test_the_kidney_by_each_rule():
    kidney = made(HOURS, KIDNEY)
    # figures of the notes, printed to the unit
    assert_allclose(log_linear(kidney).decays, 7653, atol=0.5)
    assert_allclose(trapezoid(kidney, "triangle", "last_three").decays, 7798, atol=0.5)
    assert_allclose(trapezoid(kidney, "triangle", "physical").decays, 10827, atol=0.5)
    assert_allclose(haenscheid(kidney, 2).decays, 7554, atol=0.5)


def test_the_tail_share_is_the_part_after_the_last():
    kidney = made(HOURS, KIDNEY)
    with_tail = trapezoid(kidney, "triangle", "last_three")
    without = trapezoid(kidney, "triangle", "none")
    assert_allclose(with_tail.decays * (1 - with_tail.tail_share), without.decays)
    assert without.tail_share[0] == 0
    line = log_linear(kidney)
    assert_allclose(line.tail_share, np.exp(-line.rate * HOURS[-1]))


@given(
    biological=st.floats(1e-4, 0.5), first=st.floats(0.5, 20), step=st.floats(2, 60),
    height=st.floats(1e-6, 1e6),
)  # fmt: skip
def test_a_mono_exponential_has_its_area(biological, first, step, height):
    time = first + step * np.arange(3)
    rate = LUTETIUM + biological
    value = height * np.exp(-rate * time)
    found = log_linear(made(time, value))
    assert_allclose(found.decays, height / rate, rtol=1e-8)
    assert_allclose(found.rate, rate, rtol=1e-6)
    # its own half-life makes one measurement enough
    alone = population(made(time, value), 1, np.log(2) / rate, 1.0)
    assert_allclose(alone.decays, height / rate, rtol=1e-9)
    assert_allclose(alone.tail_share, np.exp(-rate * time[1]))


def test_haenscheid_is_exact_at_one_and_two_half_lives():
    rate = np.log(2) / 50
    for time in (50.0, 100.0):
        one = made([time], [80 * np.exp(-rate * time)], [0.0])
        assert_allclose(haenscheid(one, 0).decays, 80 / rate, rtol=1e-12)


def test_haenscheid_stays_within_12_percent_over_its_range():
    for time in np.linspace(0.75, 2.5, 40):
        found = haenscheid(made([time * 50], [80 * 0.5**time]), 0)
        assert abs(found.decays[0] * np.log(2) / (80 * 50) - 1) < 0.12


def test_the_spread_of_a_population_is_that_of_drawn_half_lives():
    rng = np.random.default_rng(3)
    one = made([72.0], [40.0], [0.0])
    found = population(one, 0, 50.0, 1.3)
    drawn = np.minimum(50.0 * 1.3 ** rng.standard_normal(400_000), 159.528)
    rates = np.log(2) / drawn
    each = 40 * np.exp(rates * 72.0) / rates
    expected = np.sqrt(np.mean((each - found.decays) ** 2))
    # the drawn one is sure to 2 %: its largest values are rare
    assert_allclose(found.sd, expected, rtol=0.05)


def test_the_start_may_be_carried_back():
    time = np.array([10.0, 20.0, 40.0])
    value = 100 * np.exp(-0.03 * time)
    found = trapezoid(made(time, value), "extrapolate", "none")
    start = 100 / 0.03 * (1 - np.exp(-0.3))
    assert_allclose(found.start_share * found.decays, start, rtol=1e-12)
    flat = trapezoid(made(time, [5.0, 5.0, 1.0]), "extrapolate", "none")
    assert_allclose(flat.start_share * flat.decays, 50.0)


def test_no_effective_rate_falls_below_that_of_decay():
    time = np.array([4.0, 24.0, 96.0])
    rising = np.array([[1.0, 2.0, 3.0], [3.0, 2.9, 2.8], [9.0, 3.0, 0.5]])
    rate, held = effective_rate(time, rising, LUTETIUM)
    assert held.tolist() == [True, True, False]
    assert_allclose(rate[:2], LUTETIUM)
    found = log_linear(made(time, rising))
    assert found.held.tolist() == [True, True, False]
    # the height alone is fitted: the mean of the logarithms with decay taken out
    height = np.exp(np.mean(np.log(rising[0]) + LUTETIUM * time))
    assert_allclose(found.decays[0], height / LUTETIUM)


def test_what_has_no_logarithm_has_no_rate():
    time = np.array([4.0, 24.0, 96.0])
    below = made(time, [5.0, 1.0, -0.1])
    assert np.isnan(log_linear(below).decays[0])
    assert np.isnan(trapezoid(below, "triangle", "last_two").decays[0])
    # a physical tail needs no logarithm, and nothing is clipped
    found = trapezoid(below, "triangle", "physical")
    expected = 5 * 4 / 2 + 20 * 3 + 72 * 0.9 / 2 - 0.1 / LUTETIUM
    assert_allclose(found.decays, expected, rtol=1e-12)


def test_sd_is_that_of_a_simulation():
    rng = np.random.default_rng(8)
    sd = 0.01 * KIDNEY
    drawn = made(HOURS, KIDNEY + sd * rng.standard_normal((40_000, 4)))
    for rule in (log_linear, trapezoid, lambda one: trapezoid(one, "extrapolate", "last_two")):
        found = rule(made(HOURS, KIDNEY, sd))
        # first order against 40,000 draws: 0.35 % of sampling, the rest curvature at 1 % noise
        assert_allclose(found.sd[0], rule(drawn).decays.std(), rtol=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [(lambda one: trapezoid(one, "square"), "start is"),
     (lambda one: trapezoid(one, "triangle", "last"), "tail is"),
     (lambda one: trapezoid(one, "triangle", "last_three"), "need 3 or more"),
     (lambda one: population(one, 0, 200.0, 1.2), "at most the physical one"),
     (lambda one: population(one, 0, 0.0, 1.2), "above 0"),
     (lambda one: population(one, 0, 50.0, 0.9), "geometric sd")],
)  # fmt: skip
def test_rules_that_cannot_be_applied_say_so(call, message):
    with pytest.raises(InputError, match=message):
        call(made([4.0, 24.0], [5.0, 3.0]))


def test_one_measurement_at_zero_says_nothing():
    with pytest.raises(InputError, match="time 0"):
        haenscheid(made([0.0], [5.0]), 0)
    with pytest.raises(InputError, match="two or more"):
        log_linear(made([4.0], [5.0]))
