"""Occupancy: Lassen plot, pairs, dose and effect."""

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels.judge import AT_BOUND, POORLY_IDENTIFIED
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


def test_errors_of_both_sessions_change_nothing_where_there_is_no_noise():
    found = lassen(BASELINE, blocked(0.6), 0.05 * BASELINE, 0.05 * blocked(0.6))
    assert found.occupancy == pytest.approx(0.6, abs=1e-12)
    assert pytest.approx(VND, abs=1e-11) == found.VND
    np.testing.assert_allclose(found.occupancy_limits, 0.6, atol=1e-9)


# Occupancy, noise in proportion to VT in both sessions, how far its standard errors are off.
@pytest.mark.parametrize(
    ("occupancy", "noise", "unsure"), [(0.2, 0.05, 0.0), (0.6, 0.1, 0.25), (0.9, 0.05, 0.25)]
)
def test_with_errors_on_both_axes_bias_is_small_and_intervals_cover(occupancy, noise, unsure):
    rng = np.random.default_rng(7)
    draws, size = 600, BASELINE.size
    before, under = BASELINE, blocked(occupancy)
    weighed, inside, ordinary = np.empty(draws), np.empty(draws), np.empty(draws)
    for draw in range(draws):
        one, other = (v * (1 + noise * rng.normal(size=size)) for v in (before, under))
        errors = [noise * v * np.exp(unsure * rng.normal(size=size)) for v in (before, under)]
        found = lassen(one, other, *errors)
        weighed[draw] = found.occupancy
        inside[draw] = found.occupancy_limits[0] < occupancy < found.occupancy_limits[1]
        ordinary[draw] = lassen(one, other).occupancy
    # 600 draws: the mean's own error is at most 0.004 here; 3 of these.
    assert np.median(weighed) == pytest.approx(occupancy, abs=0.012)
    # 0.9 % of the coverage; 3 of these, and 1.5 % that weights taken from errors 25 % off cost.
    assert inside.mean() == pytest.approx(0.95, abs=0.042)
    # The baseline's noise on both axes lifts the plain slope, by (1 - occupancy) of its share.
    share = np.mean((noise * before) ** 2) / np.mean((before - before.mean()) ** 2)
    lift = (1 - occupancy) * share / (1 + share)
    assert ordinary.mean() - occupancy == pytest.approx(lift, abs=0.012)


def test_a_region_that_is_hardly_known_hardly_counts():
    errors = np.full(9, 0.1)
    errors[-1] = 5255.0
    one, other = np.append(BASELINE, 874.0), np.append(blocked(0.6), 3.0)
    found = lassen(one, other, errors, np.full(9, 0.1))
    assert found.occupancy == pytest.approx(0.6, abs=1e-3)


def test_identical_sessions_have_no_occupancy_and_no_vnd():
    found = lassen(BASELINE, BASELINE.copy(), 0.1 * BASELINE, 0.1 * BASELINE)
    assert found.occupancy == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(found.VND)
    assert np.isnan(found.VND_limits).all()


@pytest.mark.parametrize("wrong", [0.0, -0.1, np.nan, np.inf])
def test_a_standard_error_that_is_none_is_refused(wrong):
    errors = np.full(BASELINE.size, 0.1)
    errors[2] = wrong
    with pytest.raises(InputError, match="standard error of VT is not above 0"):
        lassen(BASELINE, blocked(0.5), errors, np.full(BASELINE.size, 0.1))


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


@pytest.mark.parametrize("unit", [1.0, 1e-3, 2.7e6])
def test_the_unit_of_the_dose_changes_nothing(unit):
    rng = np.random.default_rng(8)
    noisy = effect(0.9, 5.0) + rng.normal(scale=0.03, size=DOSES.size)
    one, other = dose_occupancy(DOSES, noisy), dose_occupancy(unit * DOSES, noisy)
    np.testing.assert_allclose(other.parameters / [1, unit, 1], one.parameters, rtol=1e-6)
    np.testing.assert_allclose([other.low[1], other.high[1]], unit * np.array([one.low[1],
                               one.high[1]]), rtol=1e-5)  # fmt: skip
    assert other.status == one.status == 0


def test_dose_zero_says_nothing():
    rng = np.random.default_rng(9)
    noisy = effect(0.9, 5.0) + rng.normal(scale=0.03, size=DOSES.size)
    noisy[0] = 0.0
    all_, some = dose_occupancy(DOSES, noisy), dose_occupancy(DOSES[1:], noisy[1:])
    np.testing.assert_array_equal(all_.sd, some.sd)
    assert all_.used == DOSES.size - 1


def test_an_effect_that_never_bends_is_at_its_bound():
    found = dose_occupancy(DOSES, DOSES / 200.0)
    assert found.status & AT_BOUND
    assert np.isnan(found.sd[0])


def test_doses_that_all_saturate_do_not_identify_ed50():
    rng = np.random.default_rng(6)
    doses = np.array([100.0, 200.0, 400.0, 800.0])
    found = dose_occupancy(doses, 0.95 + rng.normal(scale=0.02, size=4))
    assert found.status & POORLY_IDENTIFIED


def test_too_few_or_negative_doses_are_refused():
    with pytest.raises(InputError, match="expected more doses than parameters"):
        dose_occupancy(np.array([1.0, 2.0]), np.array([0.2, 0.4]))
    with pytest.raises(InputError, match="expected doses above 0"):
        dose_occupancy(np.array([-1.0, 2.0, 3.0]), np.array([0.2, 0.4, 0.5]))
