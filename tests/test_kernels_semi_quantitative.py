"""Figures of a contrast curve without a model: by hand, by integration, by their symmetries."""

import json

import numpy as np
import pytest
from scipy.integrate import quad

from igdd.errors import InputError
from igdd.kernels.semi_quantitative import area_weights, frame_weights, semi_quantitative

TIME = np.array([0.0, 10.0, 20.0, 30.0, 50.0, 100.0, 160.0])
CURVE = np.array([[1.0, 1.0, 1.0, 5.0, 9.0, 6.0, 3.0]])


def test_figures_of_a_curve_by_hand():
    found = semi_quantitative(TIME, CURVE, 20.0)
    assert found.baseline == 1.0
    assert found.peak == 9.0
    assert found.time_to_peak == 30.0
    np.testing.assert_allclose(found.wash_in, 8.0 / 30.0)
    np.testing.assert_allclose(found.wash_out, 6.0 / 110.0)
    # 20 to 30: 20; 30 to 50: 120; 50 to 80: (8 + 6.2) / 2 * 30 = 198 above a baseline of 1, 60 s.
    whole = (1 + 5) / 2 * 10 + (5 + 9) / 2 * 20 + (9 + 7.2) / 2 * 30
    np.testing.assert_allclose(found.area[0, 0], whole - 60.0)


def test_weights_are_those_of_the_straight_line_integral():
    rng = np.random.default_rng(4)
    values = rng.normal(size=TIME.size)
    for start, end in ((0.0, 160.0), (3.0, 17.0), (12.5, 99.0), (40.0, 41.0), (20.0, 20.0)):
        kinks = [t for t in TIME if start < t < end]
        expected = quad(lambda t: np.interp(t, TIME, values), start, end, points=kinks or None)[0]
        np.testing.assert_allclose(area_weights(TIME, start, end) @ values, expected, atol=1e-9)


def test_frames_count_by_their_part_of_the_integral():
    start, end = np.array([0.0, 10.0, 30.0]), np.array([10.0, 30.0, 60.0])
    assert frame_weights(start, end, 4.0, 40.0).tolist() == [6.0, 20.0, 10.0]
    assert frame_weights(start, end, 12.0, 13.0).tolist() == [0.0, 1.0, 0.0]


def test_frames_with_a_gap_or_an_early_end_give_no_area():
    start, end = np.array([0.0, 11.0]), np.array([10.0, 30.0])
    assert np.isnan(frame_weights(start, end, 5.0, 20.0)).all()
    assert np.isnan(frame_weights(start, end, 12.0, 31.0)).all()


def test_an_area_beyond_the_scan_is_nan():
    found = semi_quantitative(TIME, CURVE, 60.0)
    assert np.isfinite(found.area[0, :2]).all()
    assert np.isnan(found.area[0, 2])


def test_adding_a_constant_changes_only_baseline_and_peak():
    one, other = semi_quantitative(TIME, CURVE, 20.0), semi_quantitative(TIME, CURVE + 7.0, 20.0)
    for name in ("area", "time_to_peak", "wash_in", "wash_out"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12)


def test_without_samples_before_arrival_the_baseline_is_zero():
    assert semi_quantitative(TIME, CURVE, 0.0).baseline == 0.0


def test_a_curve_still_rising_has_no_wash_out():
    found = semi_quantitative(TIME, np.arange(7.0)[None], 20.0)
    assert np.isnan(found.wash_out[0])
    assert found.time_to_peak == 140.0


def test_a_missing_value_spoils_only_its_own_curve():
    curves = np.vstack([CURVE, CURVE])
    curves[1, 4] = np.nan
    found = semi_quantitative(TIME, curves, 20.0)
    assert found.peak[0] == 9.0
    for figures in found:
        assert np.isnan(np.atleast_2d(figures.T).T[1]).all()


@pytest.mark.parametrize("arrival", [-5.0, 160.0, np.nan])
def test_an_arrival_outside_the_scan_is_refused(arrival):
    with pytest.raises(InputError, match="give the arrival on the curve's own clock"):
        semi_quantitative(TIME, CURVE, arrival)


def test_times_that_do_not_ascend_are_refused():
    with pytest.raises(InputError, match="ascend"):
        semi_quantitative(TIME[::-1], CURVE, 20.0)


@pytest.mark.reference
def test_initial_areas_of_madym(reference):
    path = reference("mri/madym_calibration/madym_calibration.json")
    given = json.loads(path.read_text())
    time = 60 * np.array(given["time_min"])
    curve = np.array(given["models"]["ETM"]["Ct_noise"])
    injection = given["aif"]["injection_image"]
    published = 60 * np.array(given["ETM_IAUC"]["iauc_mM_min"])
    ends = time[injection] + np.array(given["ETM_IAUC"]["t_s"])
    # Madym counts the sampling interval before the injection image as well: then to rounding.
    wider = [area_weights(time, time[injection - 1], end) @ curve for end in ends]
    np.testing.assert_allclose(wider, published, rtol=1e-12)
    ours = semi_quantitative(time, curve[None], float(time[injection]))
    # That interval and the baseline are within Madym's own tolerance, 0.01 mM min.
    np.testing.assert_allclose(ours.area[0] / 60, published / 60, rtol=0, atol=0.01)
