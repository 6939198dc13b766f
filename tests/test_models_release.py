"""Release models: declarations, lag and Fmax, fits of the mean profile, flags."""

from dataclasses import replace

import numpy as np
import pytest

from igdd.errors import UnitsError
from igdd.kinetics import Protocol, Status
from igdd.models.release import MODELS
from igdd.stages.fit import fit
from igdd.stages.fit_text import as_json, text
from igdd.stages.protocol import held_values, option_values, si_factor
from igdd.stages.single_fit import Seen, fit_tables
from igdd.types import Frames, Zero
from region_curves import curves_of

MODEL = {model.name: model for model in MODELS}
HOUR = 3600.0
HOURS = np.array([0.25, 0.5, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 30, 36, 48])
# Own parameters in display units.
TRUTH = {
    "zero_order": (1.7,),
    "first_order": (0.09,),
    "higuchi": (12.0,),
    "korsmeyer_peppas": (9.0, 0.61),
    "hixson_crowell": (0.015,),
    "hopfenberg": (0.017,),
    "weibull": (11.0, 0.75),
    "baker_lonsdale": (0.006,),
    "peppas_sahlin": (9.0, 0.6),
    "gompertz": (4.0, 2.2),
    "logistic": (-3.5, 3.4),
    "burst_first_order": (22.0, 0.06),
    "biphasic": (35.0, 1.1, 0.04),
}
ENDING = [name for name in TRUTH if any(one.name == "Fmax" for one in MODEL[name].parameters)]


def samples(hours=HOURS):
    width = 1e-6
    return Frames(
        start=np.asarray(hours, dtype=float) * HOUR - width / 2,
        duration=np.full(len(hours), width),
        zero=Zero(kind="administration"),
    )


def parameters(name, Tlag=0.0, Fmax=100.0):
    model = MODEL[name]
    fixed = {"n": 2.0, "m": 0.5, "Tlag": Tlag, "Fmax": Fmax}
    own = iter(TRUTH[name])
    shown = [fixed[one.name] if one.held is not None else next(own) for one in model.parameters]
    return np.array(shown) * [si_factor(one.unit) for one in model.parameters]


def protocol(model, hours=HOURS, free=(), hold=None, **options):
    return Protocol(
        frames=samples(hours),
        integration="instant",
        held=held_values(model, hold or {}, free),
        options=option_values(model, options),
    )


def curves(values, hours=HOURS):
    released = {"quantity": "released", "unit": "%", "analyte": "drug"}
    return curves_of(np.atleast_2d(values), samples(hours), **released)


def test_there_are_thirteen_laws_of_release():
    assert set(MODEL) == set(TRUTH)
    assert {model.family for model in MODELS} == {"release"}
    assert not any(model.needs for model in MODELS)


@pytest.mark.parametrize("name", TRUTH)
def test_parameters_come_back_from_a_profile_without_noise(name):
    model = MODEL[name]
    values = model.predict(parameters(name)[None], protocol(model))
    found = fit(model, curves(values), integration="instant")
    np.testing.assert_allclose(
        found.values[0, : len(model.parameters)], parameters(name), rtol=1e-6, atol=1e-12
    )
    assert not {"not_converged", "not_fitted", "at_bound"} & {*found.flags[0]}


@pytest.mark.parametrize("name", ENDING)
def test_lag_and_complete_release_come_back_once_they_are_freed(name):
    model = MODEL[name]
    truth = parameters(name, Tlag=1.3, Fmax=83.0)
    hours = np.concatenate([HOURS, [72, 120, 200, 400]])
    values = model.predict(truth[None], protocol(model, hours))
    found = fit(model, curves(values, hours), free=("Tlag", "Fmax"), integration="instant")
    refitted = model.predict(
        found.values[:, : truth.size], protocol(model, hours, free=("Tlag", "Fmax"))
    )
    # a burst between two samples can begin anywhere between them: the curve is what is known
    np.testing.assert_allclose(refitted, values, atol=1e-3)
    Fmax = [one.name for one in model.parameters].index("Fmax")
    assert found.values[0, Fmax] == pytest.approx(0.83, rel=1e-4)


@pytest.mark.parametrize("name", TRUTH)
def test_intervals_cover_the_truth(name):
    model = MODEL[name]
    known = protocol(model)
    truth = parameters(name)
    clean = model.predict(truth[None], known)
    noise = np.random.default_rng(6).normal(0, 0.8, (300, clean.size))
    solution = model.prepare(known)(clean + noise, None)
    free = np.array([one.name not in known.held for one in model.parameters])
    used = np.isfinite(solution.predicted).sum(axis=1)
    clear = (solution.status & (Status.AT_BOUND | Status.POORLY_IDENTIFIED)) == 0
    assert clear.mean() > 0.9
    sd = np.sqrt(np.einsum("njj->nj", solution.covariance))[clear][:, free]
    from scipy import special

    limit = special.stdtrit(used[clear, None] - free.sum(), 0.975)
    inside = np.abs(solution.parameters[clear][:, free] - truth[free]) <= limit * sd
    # 95 % of 300: three binomial sd are 4 %; curvature and the cut at 60 % take a little
    assert (inside.mean(axis=0) > 0.89).all(), inside.mean(axis=0)


def test_the_lag_comes_off_the_time():
    model = MODEL["first_order"]
    shifted = model.predict(parameters("first_order", Tlag=2.0)[None], protocol(model))
    plain = model.predict(parameters("first_order")[None], protocol(model, HOURS[4:] - 2.0))
    np.testing.assert_allclose(shifted[:, 4:], plain, rtol=1e-9)
    assert (shifted[:, :4] == 0).all()


def test_integration_changes_nothing_for_a_sample_is_an_instant():
    model = MODEL["weibull"]
    one, other = (Protocol(frames=samples(), integration=how) for how in ("exact", "instant"))
    truth = parameters("weibull")[None]
    assert np.array_equal(model.predict(truth, one), model.predict(truth, other))


def test_korsmeyer_peppas_sees_samples_up_to_60_percent_unless_told_otherwise():
    model = MODEL["korsmeyer_peppas"]
    values = MODEL["first_order"].predict(
        parameters("first_order")[None], protocol(MODEL["first_order"])
    )
    found = fit(model, curves(values), integration="instant")
    used = np.isfinite(found.predicted[0])
    assert used.sum() == (values[0] <= 60).sum()
    everything = fit(model, curves(values), integration="instant", up_to=200.0)
    assert np.isfinite(everything.predicted[0]).all()
    assert everything.values[0, 1] < found.values[0, 1]


def test_a_late_dip_below_60_percent_does_not_come_back_into_the_fit():
    model = MODEL["korsmeyer_peppas"]
    values = 10 * HOURS**0.6
    values[-1] = 50.0
    found = fit(model, curves(values), integration="instant")
    assert np.isnan(found.predicted[0, -1])


def test_T50_and_T80_are_where_the_curve_is_there():
    for name in TRUTH:
        model = MODEL[name]
        truth = parameters(name)[None]
        T50, T80 = model.derive(truth)[0]
        at = model.predict(truth, protocol(model, np.array([T50, T80]) / HOUR))
        np.testing.assert_allclose(at[0], [50.0, 80.0], rtol=1e-6)


def test_a_level_that_is_never_reached_has_no_time():
    model = MODEL["first_order"]
    hours = np.concatenate([HOURS, [100, 200]])
    values = model.predict(parameters("first_order", Fmax=40.0)[None], protocol(model, hours))
    found = fit(model, curves(values, hours), free=("Fmax",), integration="instant")
    names = list(found.parameters)
    assert np.isnan(found.covariance[0, names.index("T50"), names.index("T50")])
    assert not np.isfinite(found.values[0, names.index("T50")])


def test_the_fast_phase_stands_first_whatever_the_start():
    model = MODEL["biphasic"]
    turned = np.array([0.65, 0.04 / HOUR, 1.1 / HOUR, 1.0, 0.0])
    values = model.predict(turned[None], protocol(model))
    found = fit(model, curves(values), integration="instant")
    np.testing.assert_allclose(found.values[0, :3], parameters("biphasic")[:3], rtol=1e-5)


def test_a_profile_without_value_or_signal_is_not_fitted_and_changes_nothing_else():
    model = MODEL["first_order"]
    good = model.predict(parameters("first_order")[None], protocol(model))
    values = np.vstack([np.full_like(good, np.nan), good, np.zeros_like(good)])
    found = fit(model, curves(values), integration="instant")
    assert "not_fitted" in found.flags[0]
    assert "not_fitted" in found.flags[2]
    assert found.values[1, 0] * HOUR == pytest.approx(0.09, rel=1e-6)


def test_the_unit_of_time_changes_no_curve():
    """A profile in minutes has the same fit as in hours: starts follow the samples."""
    for name in ("weibull", "gompertz", "biphasic", "korsmeyer_peppas"):
        model = MODEL[name]
        values = model.predict(parameters(name)[None], protocol(model))
        for stretch in (1e-3, 1 / 60, 24.0):
            found = fit(model, curves(values, HOURS * stretch), integration="instant")
            used = np.isfinite(found.predicted[0])
            np.testing.assert_allclose(found.predicted[0][used], values[0][used], atol=1e-4)


def test_curves_in_fractions_give_what_curves_in_percent_give():
    model = MODEL["weibull"]
    values = model.predict(parameters("weibull")[None], protocol(model))
    percent = curves(values)
    fractions = replace(percent, values=values / 100, unit="1")
    first, second = (fit(model, one, integration="instant") for one in (percent, fractions))
    np.testing.assert_allclose(second.values, first.values, rtol=1e-6)  # rounding of the division
    np.testing.assert_allclose(second.predicted, first.predicted, rtol=1e-6)


def test_the_fractions_of_a_table_of_frames_are_shown_in_percent(tmp_path):
    model = MODEL["first_order"]
    released = model.predict(parameters("first_order")[None], protocol(model))[0] / 100
    rows = [
        f"{hour * HOUR - 1},{hour * HOUR + 1},{value:.17g}"
        for hour, value in zip(HOURS, released, strict=True)
    ]
    path = tmp_path / "curves.csv"
    path.write_text("frame_start [s],frame_end [s],A [1]\n" + "\n".join(rows) + "\n")
    (made,) = fit_tables("first_order", [path], Seen(), integration="instant")
    assert made.curves.unit == "%"
    np.testing.assert_allclose(made.fit.predicted, made.curves.values, rtol=1e-6)
    (entry,) = as_json(made.fit)
    assert entry["parameters"]["k1"]["value"] == pytest.approx(0.09, rel=1e-6)
    assert entry["parameters"]["Fmax"]["value"] == pytest.approx(100)


def test_concentrations_are_no_release():
    with pytest.raises(UnitsError, match=r"first_order is of release in % of the load.*kBq/mL"):
        fit("first_order", replace(curves(np.ones(HOURS.size)), unit="kBq/mL"))


def test_a_variance_below_zero_by_rounding_is_no_deviation():
    model = MODEL["weibull"]
    values = model.predict(parameters("weibull")[None], protocol(model))
    noise = np.random.default_rng(4).normal(0, 0.5, values.shape)
    found = fit(model, curves(values + noise), integration="instant")
    covariance = found.covariance.copy()
    covariance[0, -1, -1] = -1e-22
    (entry,) = as_json(replace(found, covariance=covariance))  # a warning would be an error
    assert entry["parameters"][found.parameters[-1]]["sd"] == 0
    assert text(found).count("±") == 4  # Td, beta, T50, T80
    assert text(replace(found, covariance=covariance)).count("±") == 3
