"""Figures of a contrast curve without a model: by hand, by integration, by their symmetries."""

import json

import numpy as np
import pytest
from scipy.integrate import quad

from igdd.errors import InputError
from igdd.kernels.semi_quantitative import (
    HORIZONS,
    LINEAR,
    area_weights,
    figures,
    frame_weights,
    plan,
    variances,
)

TIME = np.array([0.0, 10.0, 20.0, 30.0, 50.0, 100.0, 160.0])
CURVE = np.array([[1.0, 1.0, 1.0, 5.0, 9.0, 6.0, 3.0]])


def of(values, arrival, time=TIME):
    """Figures by name of curves sampled at instants."""
    values = np.atleast_2d(values)
    found = plan((time, time, True), values, arrival)
    named = dict(zip(LINEAR, figures(found, values).T, strict=True))
    return named | {"time_to_peak": found.rise}


def test_figures_of_a_curve_by_hand():
    found = of(CURVE, 20.0)
    assert found["peak"] == 9.0
    assert found["time_to_peak"] == 30.0
    np.testing.assert_allclose(found["wash_in"], 8.0 / 30.0)
    np.testing.assert_allclose(found["wash_out"], 6.0 / 110.0)
    # 20 to 30: 20; 30 to 50: 120; 50 to 80: (8 + 6.2) / 2 * 30 = 198 above a baseline of 1, 60 s.
    whole = (1 + 5) / 2 * 10 + (5 + 9) / 2 * 20 + (9 + 7.2) / 2 * 30
    np.testing.assert_allclose(found["iauc_60"], whole - 60.0)


def gamma_variate(time, arrival=30.0, peak=40.0, height=1.2):
    x = np.maximum(time - arrival, 0) / peak
    return height * x**2 * np.exp(-2 * (x - 1))


def area_of_gamma_variate(until, peak=40.0, height=1.2):
    """int of height x^2 exp(-2 (x - 1)) with x = t / peak, from 0 to until: a gamma function."""
    from scipy.special import gammainc

    return height * peak * np.e**2 / 4 * gammainc(3, 2 * until / peak)


def test_a_gamma_variate_has_the_area_and_the_peak_of_its_formula():
    time = np.arange(0.0, 200.0, 1.0)
    found = of(gamma_variate(time), 30.0, time)
    for horizon in HORIZONS:
        # straight lines between samples 1 s apart: (1 s)^2 / 12 times the change of slope
        np.testing.assert_allclose(
            found[f"iauc_{horizon:g}"], area_of_gamma_variate(horizon), rtol=2e-4
        )
    assert found["peak"] == pytest.approx(1.2, rel=1e-12)
    assert found["time_to_peak"] == 40.0
    assert found["wash_in"] == pytest.approx(1.2 / 40, rel=1e-12)


def test_frames_that_hold_means_give_the_area_exactly():
    start, end = np.arange(0.0, 200.0, 5.0), np.arange(5.0, 205.0, 5.0)
    until = [area_of_gamma_variate(np.maximum(edge - 30.0, 0.0)) for edge in (start, end)]
    means = ((until[1] - until[0]) / 5.0)[None]
    found = figures(plan((start, end, False), means, 30.0), means)[0]
    # frames end where the horizons do: sums of whole frames
    np.testing.assert_allclose(
        found[:3], [area_of_gamma_variate(horizon) for horizon in HORIZONS], rtol=1e-12
    )


def test_variances_are_those_of_noisy_curves():
    rng = np.random.default_rng(2)
    time, noise = np.arange(0.0, 200.0, 5.0), 0.01
    curve = gamma_variate(time)[None]
    found = plan((time, time, True), curve, 30.0)
    noisy = curve + noise * rng.normal(size=(20000, time.size))
    every = plan((time, time, True), curve, 30.0)._replace(
        highest=np.repeat(found.highest, 20000), rise=np.repeat(found.rise, 20000),
        fall=np.repeat(found.fall, 20000),
    )  # fmt: skip
    expected = variances(found, np.full_like(curve, noise**2))[0]
    # 20,000 draws leave a variance uncertain by 1 %; 4 of these
    np.testing.assert_allclose(figures(every, noisy).var(axis=0), expected, rtol=0.04)


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
    found = of(CURVE, 60.0)
    assert np.isfinite([found["iauc_60"], found["iauc_90"]]).all()
    assert np.isnan(found["iauc_120"])


def test_adding_a_constant_changes_only_baseline_and_peak():
    one, other = of(CURVE, 20.0), of(CURVE + 7.0, 20.0)
    for name in ("iauc_60", "iauc_90", "iauc_120", "time_to_peak", "wash_in", "wash_out"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-12)
    assert other["peak"] == one["peak"] + 7.0


def test_without_samples_before_arrival_the_baseline_is_zero():
    found = of(CURVE, 0.0)
    np.testing.assert_allclose(found["wash_in"], 9.0 / 50.0)


def test_a_curve_still_rising_has_no_wash_out():
    found = of(np.arange(7.0), 20.0)
    assert np.isnan(found["wash_out"])
    assert found["time_to_peak"] == 140.0


def test_a_missing_value_spoils_only_its_own_curve():
    curves = np.vstack([CURVE, CURVE])
    curves[1, 4] = np.nan
    found = of(curves, 20.0)
    assert found["peak"][0] == 9.0
    for name in ("iauc_60", "iauc_90", "iauc_120"):
        assert np.isfinite(found[name][0])
        assert np.isnan(found[name][1])


@pytest.mark.parametrize("arrival", [170.0, np.nan, np.inf])
def test_an_arrival_outside_the_scan_is_refused(arrival):
    with pytest.raises(InputError, match="give the arrival on the curve's own clock"):
        of(CURVE, arrival)


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
    ours = of(curve, float(time[injection]), time)
    areas = np.array([ours[f"iauc_{horizon:g}"][0] for horizon in HORIZONS])
    # That interval and the baseline are within Madym's own tolerance, 0.01 mM min.
    np.testing.assert_allclose(areas / 60, published / 60, rtol=0, atol=0.01)
