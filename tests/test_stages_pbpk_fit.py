"""Maximum a posteriori of the tumour's parameters: recovered where the curve holds them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from igdd.errors import InputError
from igdd.flags import FLAGS
from igdd.stages.pbpk import pbpk, tumour_uptake
from igdd.stages.pbpk_fit import prior
from igdd.stages.pbpk_inputs import mouse

TIMES = np.array([0.5, 1, 2, 4, 8, 16, 24, 36, 48, 72, 120, 168])


def written(tmp_path, values, sd=None, times=TIMES):
    place = tmp_path / "curve.csv"
    rows = ["study,time [h],percent_id [%]" + ("" if sd is None else ",sd [%]")]
    for number, (time, value) in enumerate(zip(times, values, strict=True)):
        rows.append(f"a,{time!r},{value!r}" + ("" if sd is None else f",{sd[number]!r}"))
    place.write_text("\n".join(rows).replace("np.float64(", "").replace(")", "") + "\n")
    return place


def fitted(place, **how):
    return pbpk(times="24 h", observed=place, fit=True, **how).facts["fit"][0]


def test_a_curve_without_noise_gives_back_the_parameters_it_was_made_of(tmp_path):
    truth = {"uptake_maximum": 0.5, "uptake_half_time": 20.0, "uptake_exponent": 3.0,
             "release": 0.02, "partition": 0.2, "permeability": 0.004}  # fmt: skip
    body = mouse() | {f"tumour.{name}": value for name, value in truth.items()}
    curve = tumour_uptake(body, TIMES)[0]
    found = fitted(written(tmp_path, curve, sd=1e-3 * curve))
    for row in found["parameters"]:
        name = row["parameter"].split(".")[1]
        # with errors of one per mille the prior pulls by less than its own tenth of a percent
        assert_allclose(row["value"], truth[name], rtol=0.05)
        assert row["low"] < truth[name] < row["high"]
        assert row["flags"] == []
    assert found["aafe"] < 1.001


def test_the_optimum_is_that_of_another_minimiser(tmp_path):
    curve = np.array([0.3, 0.5, 0.9, 1.4, 1.1])
    times = np.array([1.0, 4.0, 10.0, 24.0, 96.0])
    found = fitted(written(tmp_path, curve, times=times), error=0.2)
    known, base = prior(), mouse()
    precision = np.linalg.inv(known.covariance)

    def cost(logs):
        body = base | dict(zip(known.parameters, np.exp(logs), strict=True))
        far = np.log(curve / tumour_uptake(body, times)[0]) / 0.2
        return far @ far + (logs - known.mean) @ precision @ (logs - known.mean)

    ours = np.log([row["value"] for row in found["parameters"]])
    polished = minimize(cost, ours, method="Nelder-Mead", bounds=known.bounds,
                        options={"xatol": 1e-5, "fatol": 1e-8, "maxiter": 600})  # fmt: skip
    assert cost(ours) < polished.fun + 1e-5
    # the posterior's curvature, by differences of the cost itself
    step = 0.02
    for place, row in enumerate(found["parameters"]):
        shift = np.zeros(6)
        shift[place] = step
        bend = (cost(ours + shift) - 2 * cost(ours) + cost(ours - shift)) / step**2
        # the marginal deviation is never below the conditional one, 1 / sqrt(half the curvature)
        assert row["sd_log"] > 0.9 / np.sqrt(max(bend / 2, 1e-9))


def test_a_single_point_teaches_little_and_says_so(tmp_path):
    found = fitted(written(tmp_path, [1.0], times=[24.0]))
    flagged = [row for row in found["parameters"] if "poorly_identified" in row["flags"]]
    assert len(flagged) >= 5
    for row in found["parameters"]:
        assert row["sd_log"] <= row["sd_log_prior"] * 1.001
    assert {flag for row in found["parameters"] for flag in row["flags"]} <= set(FLAGS)
    assert found["error"] == 0.3
    assert "too short" in found["interval"]


def test_without_information_the_prior_comes_back(tmp_path):
    found = fitted(written(tmp_path, [1.0], times=[24.0]), error=1e3)
    known = prior()
    assert_allclose(np.log([row["value"] for row in found["parameters"]]), known.mean, atol=1e-3)
    assert_allclose([row["sd_log"] for row in found["parameters"]], known.sd, rtol=1e-3)
    assert all("poorly_identified" in row["flags"] for row in found["parameters"])


def test_points_at_or_below_zero_are_left_out_and_counted(tmp_path):
    place = written(tmp_path, [1.0, 0.0, 2.0], times=[1.0, 4.0, 24.0])
    found = fitted(place)
    assert found["left_out"] == 1
    assert found["observed"]["time"] == [1.0, 24.0]


def test_an_impossible_error_and_an_empty_curve_are_refused(tmp_path):
    place = written(tmp_path, [1.0], times=[24.0])
    for error in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="error is"):
            fitted(place, error=error)
