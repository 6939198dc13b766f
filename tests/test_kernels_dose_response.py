"""Answers to doses in closed form against the matrix exponential, quadrature and limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from igdd.errors import InputError
from igdd.kernels import dose_response as kernel
from igdd.kernels.disposition import disposition, micro_constants, system_matrix
from igdd.kernels.linear_system import Dose, amounts

TIMES = np.linspace(0.0, 30.0, 37)
# time, amount, duration, depot, interval: once, infused, absorbed, and each at steady state; the
# sixth infusion runs longer than its interval
DOSES = (
    (0.0, 5.0, 0.0, False, 0.0),
    (2.0, 3.0, 1.5, False, 0.0),
    (5.0, 7.0, 0.0, True, 0.0),
    (6.0, 2.0, 0.0, False, 4.0),
    (7.0, 2.0, 1.0, False, 4.0),
    (8.0, 3.0, 9.7, False, 4.0),
    (9.0, 3.0, 0.0, True, 4.0),
)


def schedule_of(doses, times=TIMES) -> kernel.Schedule:
    elapsed = np.array([times - dose[0] for dose in doses])
    columns = list(zip(*doses, strict=True))
    return kernel.Schedule(
        elapsed=np.where(elapsed >= 0, elapsed, -1.0),
        amount=np.array(columns[1]),
        duration=np.array(columns[2]),
        depot=np.array(columns[3]),
        interval=np.array(columns[4]),
        rate=np.zeros(len(doses)),
    )


def with_depot(parameters: np.ndarray, ka: float) -> np.ndarray:
    """The system matrix with a depot as the last compartment."""
    inner = system_matrix(micro_constants(parameters))[0]
    size = len(inner)
    matrix = np.zeros((size + 1, size + 1))
    matrix[:size, :size] = inner
    matrix[size, size], matrix[0, size] = -ka, ka
    return matrix


@pytest.mark.parametrize("compartments", [1, 2, 3])
@pytest.mark.parametrize("nearness", ["apart", "equal", "all but equal"])
def test_closed_form_and_matrix_exponential_agree(compartments, nearness):
    generator = np.random.default_rng(compartments)
    for _ in range(10):
        parameters = np.exp(generator.normal(0, 1.0, (1, 2 * compartments)))
        found = disposition(parameters)
        ka = float(np.exp(generator.normal()))
        if nearness != "apart":
            ka = float(found.rates[0, generator.integers(compartments)])
            ka *= 1.0 if nearness == "equal" else 1 + 1e-9
        uptake = kernel.Absorption(np.array([ka]), np.zeros(1), np.array([0.7]))
        curve = kernel.central(found, schedule_of(DOSES), uptake)[0]
        doses = [
            Dose(time, amount * (0.7 if depot else 1.0), compartments if depot else 0, length, tau)
            for time, amount, length, depot, tau in DOSES
        ]
        expected = amounts(with_depot(parameters, ka), doses, TIMES)[:, 0] / parameters[0, 1]
        # both to rounding, which squaring and geometric sums multiply
        np.testing.assert_allclose(curve, expected, atol=1e-10 * expected.max())


def test_a_lag_shifts_the_curve():
    found = disposition(np.array([[1.0, 10.0, 2.0, 20.0]]))
    doses = [(0.0, 5.0, 0.0, True, 0.0)]
    late = kernel.Absorption(np.array([0.8]), np.array([1.5]), np.ones(1))
    once = late._replace(lag=np.zeros(1))
    shifted = kernel.central(found, schedule_of(doses, TIMES + 1.5), late)
    np.testing.assert_allclose(shifted, kernel.central(found, schedule_of(doses), once), rtol=1e-12)
    before = kernel.central(found, schedule_of(doses, np.array([0.0, 1.49])), late)
    assert not before.any()


def test_a_lag_at_steady_state_still_sees_the_dose_before():
    found = disposition(np.array([[1.0, 10.0]]))
    late = kernel.Absorption(np.array([0.8]), np.array([1.5]), np.ones(1))
    steady = kernel.central(found, schedule_of([(0.0, 5.0, 0.0, True, 6.0)]), late)
    many = [(-6.0 * number, 5.0, 0.0, True, 0.0) for number in range(120)]
    # exp(-0.1 * 720) of the first is left; beyond 6 h the dose is alone in the schedule
    inside = TIMES <= 6.0
    expected = kernel.central(found, schedule_of(many), late)
    np.testing.assert_allclose(steady[0, inside], expected[0, inside], rtol=1e-12)


def test_an_infusion_for_ever_reaches_rate_over_clearance():
    found = disposition(np.array([[4.0, 10.0, 2.0, 20.0, 1.0, 30.0]]))
    forever = schedule_of([(0.0, 0.0, 0.0, False, 0.0)])._replace(rate=np.array([8.0]))
    np.testing.assert_allclose(kernel.central(found, forever), 2.0, rtol=1e-10)


@pytest.mark.parametrize("rate", [0.0, 1e-12, 1e-3, 0.05, 0.7, 30.0])
@pytest.mark.parametrize("ka", [1e-9, 0.05, 0.7, 0.7 + 1e-9, 20.0])
def test_areas_are_the_integrals_of_the_answers(rate, ka):
    one, other = np.array(rate), np.array(ka)
    for time in (0.3, 2.0, 7.0):
        moment = np.array(time)
        pairs = (
            (kernel.bolus_area(one, moment), lambda t: kernel.bolus(one, np.array(t)), []),
            (
                kernel.infusion_area(one, moment, np.array(1.5)),
                lambda t: kernel.infusion(one, np.array(t), np.array(1.5)),
                [1.5],
            ),
            (
                kernel.first_order_area(one, moment, other),
                lambda t: kernel.first_order(one, np.array(t), other),
                [],
            ),
        )
        for area, function, knots in pairs:
            inside = [knot for knot in knots if knot < time]
            expected, _ = quad(function, 0, time, points=inside or None, epsabs=0, epsrel=1e-11)
            # quadrature; an area that is small beside the time is a difference of two such
            rounding = 4 * np.finfo(float).eps * time
            np.testing.assert_allclose(float(area), expected, rtol=1e-9, atol=rounding)


def test_doses_add_up_and_scale():
    found = disposition(np.array([[1.0, 10.0, 2.0, 20.0]]))
    uptake = kernel.Absorption(np.ones(1), np.zeros(1), np.ones(1))
    together = kernel.central(found, schedule_of(DOSES), uptake)
    apart = sum(kernel.central(found, schedule_of([dose]), uptake) for dose in DOSES)
    np.testing.assert_allclose(together, apart, rtol=1e-12)
    twice = schedule_of(DOSES)._replace(amount=2 * schedule_of(DOSES).amount)
    np.testing.assert_allclose(kernel.central(found, twice, uptake), 2 * together, rtol=1e-12)


def test_nothing_settles_where_nothing_is_eliminated():
    still = disposition(np.array([[0.0, 10.0]]))
    assert np.isnan(kernel.central(still, schedule_of([(0.0, 1.0, 0.0, False, 4.0)]))).all()


def test_a_depot_asks_for_its_absorption():
    found = disposition(np.array([[1.0, 10.0]]))
    with pytest.raises(InputError, match="absorption"):
        kernel.central(found, schedule_of([(0.0, 1.0, 0.0, True, 0.0)]))


def test_many_curves_cost_a_few_exponentials():
    from time import perf_counter

    generator = np.random.default_rng(0)
    parameters = np.exp(generator.normal(0, 0.5, (20_000, 4)))
    times = np.linspace(0.1, 24, 12)
    once = schedule_of([(0.0, 1.0, 0.0, False, 0.0)], times)
    rates = disposition(parameters).rates[:, None, :] * times[:, None]

    def fastest(function) -> float:
        taken = []
        for _ in range(5):
            started = perf_counter()
            function()
            taken.append(perf_counter() - started)
        return min(taken)

    # a ratio, for a loaded machine: measured 8 to 54 times the exponentials alone; a loop over the
    # curves takes thousands
    curves = fastest(lambda: kernel.central(disposition(parameters), once))
    assert curves < 400 * fastest(lambda: np.exp(-rates))
