"""R(T) and what a temperature history releases."""

import numpy as np
import pytest
from scipy import integrate

from igdd.errors import InputError
from igdd.kernels.thermal_release import RateTable, SigmoidRate, exposure, released

TABLE = RateTable(
    temperature=np.array([36.0, 37.0, 39.0, 40.0, 41.0, 42.0, 45.0]),
    rate=np.array([0.0, 0.001, 0.01, 0.1, 1.5, 3.0, 3.2]),
)
SIGMOID = SigmoidRate(k37=0.001, kmax=3.0, T50=40.8, w=0.4)
TIME = np.array([0.0, 2.0, 3.0, 8.0, 10.0])
HISTORY = np.array([37.0, 37.0, 42.5, 41.0, 37.5])


@pytest.mark.parametrize("rate", [TABLE, SIGMOID], ids=["table", "sigmoid"])
def test_a_history_of_straight_lines_is_integrated_exactly(rate):
    def along(minute):
        return float(rate.at(np.array(np.interp(minute, TIME, HISTORY))))

    # the table's cubics meet at their knots, whose times are breaks of the integrand
    temperatures = TABLE.temperature
    breaks = sorted(
        {*TIME[1:-1]}
        | {
            float(
                TIME[i] + (T - HISTORY[i]) / (HISTORY[i + 1] - HISTORY[i]) * (TIME[i + 1] - TIME[i])
            )
            for i in range(TIME.size - 1)
            for T in temperatures
            if min(HISTORY[i], HISTORY[i + 1]) < T < max(HISTORY[i], HISTORY[i + 1])
        }
    )
    expected = sum(
        integrate.quad(along, low, high, epsabs=0, epsrel=1e-12)[0]
        for low, high in zip([0.0, *breaks], [*breaks, 10.0], strict=True)
    )
    assert exposure(TIME, HISTORY, rate)[-1] == pytest.approx(expected, rel=1e-9)
    assert released(TIME, HISTORY, rate)[-1] == pytest.approx(1 - np.exp(-expected), rel=1e-9)


@pytest.mark.parametrize("rate", [TABLE, SIGMOID], ids=["table", "sigmoid"])
def test_refining_the_history_changes_nothing(rate):
    fine = np.union1d(TIME, np.linspace(0, 10, 5001))
    again = exposure(fine, np.interp(fine, TIME, HISTORY), rate)[-1]
    assert again == pytest.approx(exposure(TIME, HISTORY, rate)[-1], rel=1e-8)


@pytest.mark.parametrize("rise", [0.0, 1e-9, 0.9e-4, 1.1e-4, 1e-2])
def test_almost_level_lines_lose_no_digits(rise):
    time, temperature = np.array([0.0, 1.0]), np.array([41.0, 41.0 + rise])
    mean = integrate.quad(lambda T: float(SIGMOID.at(np.array(T))), 41.0, 41.0 + rise)[0]
    expected = mean / rise if rise > 1e-6 else float(SIGMOID.at(np.array(41.0 + rise / 2)))
    assert exposure(time, temperature, SIGMOID)[-1] == pytest.approx(expected, rel=1e-9)


def test_a_table_is_met_at_its_points_and_never_overshoots():
    np.testing.assert_allclose(TABLE.at(TABLE.temperature), TABLE.rate)
    between = TABLE.at(np.linspace(36, 45, 2001))
    assert (np.diff(between) >= -1e-15).all()
    assert between.max() <= 3.2 * (1 + 1e-14)  # rounding of the cubic


def test_steady_temperature_gives_first_order_release():
    time = np.array([0.0, 1.0, 5.0])
    expected = 1 - np.exp(-3.0 * time)
    np.testing.assert_allclose(released(time, np.full(3, 42.0), TABLE), expected, rtol=1e-12)


def test_maps_are_released_voxel_by_voxel():
    maps = 37 + np.random.default_rng(1).uniform(0, 6, (2, 3, 5))
    found = released(TIME, maps, SIGMOID)
    assert found.shape == maps.shape
    np.testing.assert_allclose(found[1, 2], released(TIME, maps[1, 2], SIGMOID), rtol=1e-14)


def test_a_temperature_beyond_the_table_is_refused_not_extrapolated():
    with pytest.raises(InputError, match=r"temperature 46 C is outside .* from 36 to 45"):
        released(np.array([0.0, 1.0]), np.array([40.0, 46.0]), TABLE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RateTable(temperature=[37.0], rate=[1.0]), "two or more"),
        (lambda: RateTable(temperature=[37.0, 37.0], rate=[1.0, 2.0]), "ascending"),
        (lambda: RateTable(temperature=[37.0, 40.0], rate=[1.0, -2.0]), "at least 0"),
        (lambda: RateTable(temperature=[37.0, 40.0], rate=[1.0]), "as many"),
        (lambda: SigmoidRate(k37=2.0, kmax=1.0, T50=41.0, w=1.0), "0 <= k37 <= kmax"),
        (lambda: SigmoidRate(k37=0.0, kmax=1.0, T50=41.0, w=0.0), "width above 0"),
        (lambda: SigmoidRate(k37=0.0, kmax=1.0, T50=np.nan, w=1.0), "T50 is not finite"),
        (lambda: released(np.array([1.0, 0.0]), np.full(2, 40.0), SIGMOID), "ascending times"),
        (lambda: released(np.arange(2.0), np.array([40.0, np.nan]), SIGMOID), "not finite"),
    ],
)
def test_a_rate_or_a_history_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
