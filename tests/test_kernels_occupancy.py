"""Occupancy: Lassen plot, pairs, dose and effect."""

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels.occupancy import dose_occupancy, individual, lassen

VND = 1.5
BASELINE = np.array([2.0, 2.8, 3.5, 4.4, 6.0, 7.5, 9.0, 3.0])


def blocked(occupancy):
    return BASELINE - occupancy * (BASELINE - VND)


@pytest.mark.parametrize("occupancy", [0.2, 0.7, 1.0])
def test_a_lassen_plot_gives_occupancy_and_vnd_back(occupancy):
    found = lassen(BASELINE, blocked(occupancy))
    assert found.occupancy == pytest.approx(occupancy, rel=1e-12)
    assert pytest.approx(VND, rel=1e-12) == found.VND
    assert found.correlation == pytest.approx(1)
    np.testing.assert_allclose(found.occupancy_limits, occupancy, rtol=1e-9)


def test_lassen_agrees_with_textbook_regression():
    rng = np.random.default_rng(1)
    noisy = blocked(0.6) + rng.normal(scale=0.1, size=8)
    found = lassen(BASELINE, noisy)
    slope, level = np.polyfit(BASELINE, BASELINE - noisy, 1)
    assert found.occupancy == pytest.approx(slope, rel=1e-10)
    assert pytest.approx(-level / slope, rel=1e-10) == found.VND
    from scipy.stats import linregress

    check = linregress(BASELINE, BASELINE - noisy)
    assert found.occupancy_sd == pytest.approx(check.stderr, rel=1e-10)
    assert found.correlation == pytest.approx(check.rvalue, rel=1e-10)


def test_the_intervals_of_a_lassen_plot_cover_the_truth():
    rng = np.random.default_rng(2)
    inside = np.zeros(2)
    draws = 4000
    for _ in range(draws):
        found = lassen(BASELINE, blocked(0.6) + rng.normal(scale=0.2, size=8))
        inside += [
            found.occupancy_limits[0] < 0.6 < found.occupancy_limits[1],
            found.VND_limits[0] < VND < found.VND_limits[1],
        ]
    # Noise in the blocked scan alone: both intervals are exact. 4,000 draws: 0.35 %; 3 of these.
    np.testing.assert_allclose(inside / draws, 0.95, atol=0.0105)


def test_without_occupancy_vnd_has_no_bounds():
    rng = np.random.default_rng(3)
    found = lassen(BASELINE, BASELINE + rng.normal(scale=0.3, size=8))
    assert np.isnan(found.VND_limits).all()


def test_a_lassen_plot_of_equal_regions_or_too_few_is_refused():
    with pytest.raises(InputError, match="regions that differ"):
        lassen(np.full(4, 2.0), np.full(4, 1.5))
    with pytest.raises(InputError, match="expected 3 or more pairs"):
        lassen(np.array([1.0, 2.0]), np.array([1.0, 1.5]))
    with pytest.raises(InputError, match="a number is missing"):
        lassen(np.array([1.0, 2.0, np.nan]), np.ones(3))


def test_the_occupancy_of_a_pair_is_the_fall_of_its_binding_potential():
    found = individual(np.array([2.0, 1.0, 0.5]), np.array([0.5, 1.1, 0.0]))
    # Never clipped: a rise is an occupancy below 0.
    np.testing.assert_allclose(found.occupancy, [0.75, -0.1, 1.0])
    assert np.isnan(found.sd).all()
    assert np.isnan(found.low).all()


def test_the_intervals_of_pairs_cover_the_truth():
    rng = np.random.default_rng(4)
    size = 20000
    base = 2.0 + rng.normal(scale=0.2, size=size)
    block = 0.6 + rng.normal(scale=0.1, size=size)
    found = individual(base, block, np.full(size, 0.2), np.full(size, 0.1))
    inside = (found.low < 0.7) & (found.high > 0.7)
    # Fieller's interval is exact; 20,000 draws: 0.15 %; 3 of these.
    assert inside.mean() == pytest.approx(0.95, abs=0.0046)
    assert np.median(found.sd) == pytest.approx(found.occupancy.std(), rel=0.05)


def test_a_baseline_that_may_be_zero_has_no_interval():
    found = individual(np.array([0.1]), np.array([0.05]), np.array([0.1]), np.array([0.01]))
    assert np.isnan(found.low[0])
    assert np.isnan(found.high[0])


DOSES = np.array([0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])


def effect(Emax, ED50, Hill=1.0):
    return Emax * DOSES**Hill / (ED50**Hill + DOSES**Hill)


@pytest.mark.parametrize(("Emax", "ED50", "Hill"), [(1.0, 5.0, 1.0), (0.8, 0.7, 1.0), (0.9, 12, 2)])
def test_dose_and_occupancy_give_the_emax_model_back(Emax, ED50, Hill):
    found = dose_occupancy(DOSES, effect(Emax, ED50, Hill), Hill=None)
    np.testing.assert_allclose(found.parameters, [Emax, ED50, Hill], rtol=1e-6)


def test_what_is_held_stays_and_has_no_error():
    found = dose_occupancy(DOSES, effect(1.0, 5.0) + 0.01, Emax=1.0)
    assert found.parameters[0] == 1.0
    assert found.parameters[2] == 1.0
    assert found.sd[0] == found.sd[2] == 0
    assert found.sd[1] > 0


def test_the_interval_of_ed50_covers_the_truth():
    rng = np.random.default_rng(5)
    doses = np.repeat(DOSES[1:], 3)
    truth = doses / (4.0 + doses)
    inside = []
    for _ in range(400):
        found = dose_occupancy(doses, truth + rng.normal(scale=0.05, size=doses.size))
        inside.append([found.low[j] < (1.0, 4.0)[j] < found.high[j] for j in range(2)])
    # 400 draws leave a coverage uncertain by 1.1 %; 3 of these.
    np.testing.assert_allclose(np.mean(inside, axis=0), 0.95, atol=0.033)


def test_doses_that_all_saturate_do_not_identify_ed50():
    rng = np.random.default_rng(6)
    doses = np.array([100.0, 200.0, 400.0, 800.0])
    found = dose_occupancy(doses, 0.95 + rng.normal(scale=0.02, size=4))
    assert not found.identified


def test_too_few_or_negative_doses_are_refused():
    with pytest.raises(InputError, match="expected more doses than parameters"):
        dose_occupancy(np.array([1.0, 2.0]), np.array([0.2, 0.4]))
    with pytest.raises(InputError, match="expected doses above 0"):
        dose_occupancy(np.array([-1.0, 2.0, 3.0]), np.array([0.2, 0.4, 0.5]))
