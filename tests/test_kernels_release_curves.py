"""Release laws: their values, their limits, and that times undo percentages."""

import numpy as np
import pytest
from scipy import optimize

from igdd.kernels import release_curves as laws

TIMES = np.geomspace(1e-3, 30.0, 60)
# Function, its inverse, parameters.
PAIRS = [
    ("zero_order", (2.5,)),
    ("first_order", (0.2, 90.0)),
    ("higuchi", (14.0,)),
    ("korsmeyer_peppas", (12.0, 0.63)),
    ("hopfenberg", (0.02, 1.0, 100.0)),
    ("hopfenberg", (0.02, 2.0, 80.0)),
    ("hopfenberg", (0.02, 3.0, 100.0)),
    ("weibull", (6.0, 0.7, 95.0)),
    ("baker_lonsdale", (0.01, 100.0)),
    ("peppas_sahlin", (12.0, 1.5, 0.43)),
    ("peppas_sahlin", (20.0, 0.0, 0.5)),
    ("gompertz", (2.0, 1.7, 100.0)),
    ("logistic", (-1.8, 2.4, 100.0)),
    ("burst_first_order", (30.0, 0.1, 100.0)),
    ("biphasic", (30.0, 2.0, 0.1, 100.0)),
]


@pytest.mark.parametrize(("name", "parameters"), PAIRS)
def test_the_time_of_what_is_released_by_a_time_is_that_time(name, parameters):
    released = getattr(laws, name)(TIMES, *parameters)
    again = getattr(laws, f"{name}_time")(released, *parameters)
    # near the end a law is flat: rounding of F there is much time
    steep = released < 0.99 * min(100.0, parameters[-1] if parameters[-1] > 60 else 100.0)
    assert steep.sum() > 20
    np.testing.assert_allclose(again[steep], TIMES[steep], rtol=1e-9)


@pytest.mark.parametrize(("name", "parameters"), PAIRS)
def test_nothing_is_released_at_time_zero_and_release_never_falls(name, parameters):
    times = np.append(0.0, TIMES)
    released = getattr(laws, name)(times, *parameters)
    assert released[0] == 0
    assert (np.diff(released) >= -1e-12).all()


@pytest.mark.parametrize(
    ("name", "parameters"), [one for one in PAIRS if one[1][-1] >= 80.0 and len(one[1]) > 1]
)
def test_more_than_Fmax_takes_for_ever(name, parameters):
    assert getattr(laws, f"{name}_time")(np.array([101.0]), *parameters)[0] == np.inf


def test_baker_lonsdale_solves_its_equation_to_the_last_digits():
    k = 0.01
    for time in (1e-8, 1e-4, 0.3, 12.0, 49.0):
        share = laws.baker_lonsdale(np.array([time]), k, 100.0)[0] / 100

        # the root of the implicit equation, by a bracket on the shell that is left, 1 - u
        def equation(gone, time=time):
            f = gone * (3 - gone * (3 - gone))
            return gone**2 * (1.5 - gone) - k * time if f < 2 else np.inf

        gone = optimize.brentq(equation, 0.0, 1.0, xtol=1e-18, rtol=1e-14)
        assert share == pytest.approx(gone * (3 - gone * (3 - gone)), rel=1e-11)


def test_baker_lonsdale_is_complete_after_half_the_reciprocal_of_its_rate():
    assert laws.baker_lonsdale(np.array([50.0, 1e3]), 0.01, 100.0) == pytest.approx([100.0, 100.0])
    assert laws.baker_lonsdale_time(np.array([100.0 - 1e-12]), 0.01, 100.0) == pytest.approx([50.0])


def test_published_forms_at_hand_values():
    assert laws.first_order(np.log(4.0), 1.0, 80.0) == pytest.approx(60.0)
    assert laws.higuchi(9.0, 10.0) == pytest.approx(30.0)
    assert laws.hopfenberg(np.array(1.0), 0.5, 3.0, 100.0) == pytest.approx(87.5)
    assert laws.weibull(np.array(6.0), 6.0, 0.7, 100.0) == pytest.approx(100 * (1 - np.exp(-1)))
    assert laws.gompertz(np.array(10.0), 2.0, 1.0, 100.0) == pytest.approx(
        100 * np.exp(-2 * np.exp(-1))
    )
    assert laws.logistic(np.array(100.0), -1.0, 1.0, 100.0) == pytest.approx(
        100 * np.e / (1 + np.e)
    )
    assert laws.peppas_sahlin(np.array(4.0), 10.0, 2.0, 0.5) == pytest.approx(28.0)


def test_one_law_is_another_at_its_limit():
    first = laws.first_order(TIMES, 0.2, 100.0)
    np.testing.assert_allclose(laws.weibull(TIMES, 5.0, 1.0, 100.0), first, rtol=1e-12)
    np.testing.assert_allclose(laws.burst_first_order(TIMES, 0.0, 0.2, 100.0), first, rtol=1e-12)
    np.testing.assert_allclose(laws.biphasic(TIMES, 50.0, 0.2, 0.2, 100.0), first, rtol=1e-12)
    burst = laws.burst_first_order(TIMES[10:], 30.0, 0.2, 100.0)
    np.testing.assert_allclose(laws.biphasic(TIMES[10:], 30.0, 1e6, 0.2, 100.0), burst, rtol=1e-12)
    straight = laws.zero_order(TIMES[TIMES < 20], 5.0)
    np.testing.assert_allclose(
        laws.hopfenberg(TIMES[TIMES < 20], 0.05, 1.0, 100.0), straight, rtol=1e-9
    )
    np.testing.assert_allclose(
        laws.korsmeyer_peppas(TIMES, 9.0, 0.5), laws.higuchi(TIMES, 9.0), rtol=1e-12
    )


def test_a_burst_takes_no_time():
    assert laws.burst_first_order_time(np.array([20.0]), 30.0, 0.1, 100.0)[0] == 0


def test_a_rate_of_zero_never_gets_there():
    assert laws.zero_order_time(np.array([50.0]), 0.0)[0] == np.inf
    assert laws.first_order_time(np.array([50.0]), 0.0, 100.0)[0] == np.inf
    assert laws.biphasic_time(np.array([50.0]), 20.0, 1.0, 0.0, 100.0)[0] == np.inf
