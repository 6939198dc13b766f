"""Compartment models of a dose: curves, recovery, units, weights and intervals of their fits."""

from __future__ import annotations

import numpy as np
import pytest

from igdd import catalog
from igdd.errors import InputError, StudyError, UnitsError
from igdd.kinetics import Protocol
from igdd.models import compartment_pk
from igdd.stages.fit import fit
from igdd.types import Curves, Frames, Zero

HOUR = 3600.0
TIMES = np.array([0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 36, 48]) * HOUR
# CL [mL/s], V1 [mL] and so on of a person
TRUTHS = {
    "pk_one_compartment": (5e3 / HOUR, 3e4),
    "pk_two_compartment": (5e3 / HOUR, 1e4, 6e3 / HOUR, 4e4),
    "pk_three_compartment": (5e3 / HOUR, 5e3, 1.5e4 / HOUR, 1e4, 2e3 / HOUR, 5e4),
}
ROUTES = {
    "bolus": {"route": "bolus"},
    "infusion": {"route": "infusion", "infusion": 1.5 * HOUR},
    "first_order": {"route": "first_order"},
}
DOSE = 0.25  # g


def frames_of(times: np.ndarray, length: float = 60.0) -> Frames:
    return Frames(
        start=times - length / 2,
        duration=np.full(times.size, length),
        zero=Zero(kind="administration"),
    )


def curves_of(values: np.ndarray, frames: Frames, unit: str = "g/mL", sd=None) -> Curves:
    count, size = values.shape
    covariance = np.full((size, count, count), np.nan)
    if sd is not None:
        covariance[:] = 0.0
        covariance[:, np.arange(count), np.arange(count)] = (sd**2).T
    return Curves(
        values=values, covariance=covariance, volume=np.ones(count), volume_sd=np.zeros(count),
        names=tuple(f"subject {number}" for number in range(count)), kinds=("organ",) * count,
        frames=frames, quantity="mass_concentration", unit=unit, analyte="drug",
    )  # fmt: skip


def truth_of(name: str, route: str) -> np.ndarray:
    return np.array([[*TRUTHS[name], *((1.2 / HOUR, 0.0) if route == "first_order" else ())]])


def predicted(name: str, route: str, frames: Frames, integration="instant") -> np.ndarray:
    options = {"dose": DOSE, "infusion": None, **ROUTES[route]}
    protocol = Protocol(frames=frames, integration=integration, options=options)
    return compartment_pk.predict(truth_of(name, route), protocol)


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_fit_finds_what_made_the_curve(name, route):
    frames = frames_of(TIMES)
    found = fit(name, curves_of(predicted(name, route, frames), frames), dose=f"{DOSE} g",
                integration="instant", **ROUTES[route])  # fmt: skip
    free = truth_of(name, route).shape[1] - (route == "first_order")
    np.testing.assert_allclose(found.values[0, :free], truth_of(name, route)[0, :free], rtol=1e-5)


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("route", ROUTES)
def test_frames_hold_the_mean_of_the_curve(name, route):
    frames = frames_of(np.array([0.5, 2.0, 9.0]) * HOUR, 0.9 * HOUR)
    moments, weights = np.polynomial.legendre.leggauss(40)
    # the infusion ends inside no frame, so that each integrand is smooth
    inside = [
        predicted(name, route, frames_of(frames.middle + moment * 0.45 * HOUR))
        for moment in moments
    ]
    expected = sum(weight / 2 * curve for weight, curve in zip(weights, inside, strict=True))
    np.testing.assert_allclose(predicted(name, route, frames, "exact"), expected, rtol=1e-9)


@pytest.mark.parametrize("route", ROUTES)
def test_derived_parameters_follow_their_definitions(route):
    frames = frames_of(TIMES)
    found = fit("pk_two_compartment", curves_of(predicted("pk_two_compartment", route, frames),
                frames), dose=f"{DOSE} g", integration="instant", **ROUTES[route])  # fmt: skip
    value = dict(zip(found.parameters, found.values[0], strict=True))
    clearance, volume = value["CL"], value["V1"] + value["V2"]
    assert value["Vss"] == pytest.approx(volume)
    assert value["AUC"] == pytest.approx(DOSE / clearance)
    late = 1 / value["ka"] if route == "first_order" else 0.0
    assert value["MRT"] == pytest.approx(volume / clearance + late)
    micro = clearance / value["V1"], value["Q"] / value["V1"], value["Q"] / value["V2"]
    rates = np.log(2) / np.array([value["half_life1"], value["half_life2"]])
    assert rates.prod() == pytest.approx(micro[0] * micro[2])
    assert rates.sum() == pytest.approx(sum(micro))
    assert rates[0] > rates[1]


def test_standard_errors_are_those_of_repeated_noise():
    frames = frames_of(TIMES)
    curve = predicted("pk_two_compartment", "bolus", frames)
    generator = np.random.default_rng(5)
    noisy = curve * (1 + 0.03 * generator.standard_normal((300, TIMES.size)))
    found = fit("pk_two_compartment", curves_of(noisy, frames), dose=f"{DOSE} g", route="bolus",
                integration="instant", sd="relative")  # fmt: skip
    spread = found.values.std(axis=0, ddof=1)
    errors = np.sqrt(np.einsum("npp->np", found.covariance))
    # 300 trials: the spread is known to 4 %, and linear theory for derived ones to some more
    np.testing.assert_allclose(np.median(errors, axis=0), spread, rtol=0.15)


def test_weights_by_the_value_are_those_of_the_same_standard_deviations():
    frames = frames_of(TIMES)
    curve = predicted("pk_two_compartment", "bolus", frames)
    noisy = curve * (1 + 0.1 * np.random.default_rng(6).standard_normal((3, TIMES.size)))
    words = {"dose": f"{DOSE} g", "route": "bolus", "integration": "instant"}
    curves = curves_of(noisy, frames)
    for name, power in (("relative", 1.0), ("root", 0.5)):
        one = fit("pk_two_compartment", curves, sd=name, **words)
        other = fit("pk_two_compartment", curves, sd=noisy**power, **words)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-6)


def test_the_lag_is_found_once_it_is_freed():
    frames = frames_of(TIMES)
    options = {"dose": DOSE, "route": "first_order", "infusion": None}
    protocol = Protocol(frames=frames, integration="instant", options=options)
    truth = np.array([[5e3 / HOUR, 3e4, 1.2 / HOUR, 0.4 * HOUR]])
    curves = curves_of(compartment_pk.predict(truth, protocol), frames)
    words = {"dose": f"{DOSE} g", "route": "first_order", "integration": "instant"}
    found = fit("pk_one_compartment", curves, free=("lag",), **words)
    np.testing.assert_allclose(found.values[0, :4], truth[0], rtol=1e-5)
    held = fit("pk_one_compartment", curves, hold={"lag": "0.4 h"}, **words)
    np.testing.assert_allclose(held.values[0, :4], truth[0], rtol=1e-5)


def test_equal_rates_of_input_and_elimination_have_a_curve():
    rate = 0.3 / HOUR
    options = {"dose": DOSE, "route": "first_order", "infusion": None}
    protocol = Protocol(frames=frames_of(TIMES), integration="instant", options=options)
    curve = compartment_pk.predict(np.array([[rate * 2e4, 2e4, rate, 0.0]]), protocol)[0]
    expected = DOSE / 2e4 * rate * TIMES * np.exp(-rate * TIMES)
    np.testing.assert_allclose(curve, expected, rtol=1e-12)


def test_the_jacobian_is_the_derivative():
    frames = frames_of(TIMES)
    options = {"dose": DOSE, "route": "first_order", "infusion": None}
    for integration in ("instant", "exact"):
        protocol = Protocol(frames=frames, integration=integration, options=options)
        truth = truth_of("pk_three_compartment", "first_order")
        truth[0, -1] = 0.05 * HOUR
        found = compartment_pk.jacobian(truth, protocol)[0]
        for column in range(truth.shape[1]):
            step = np.zeros_like(truth)
            step[0, column] = 1e-6 * truth[0, column]
            up, down = (compartment_pk.predict(truth + sign * step, protocol) for sign in (1, -1))
            secant = (up - down)[0] / (2 * step[0, column])
            # rounding over the step, 1e-16 / 1e-6, times hours over the minute of a frame
            size = np.abs(secant).max()
            np.testing.assert_allclose(found[:, column] / size, secant / size, atol=1e-6)


def test_activity_gives_volumes_in_ml_and_shares_of_dose_in_g():
    frames = frames_of(TIMES)
    curve = predicted("pk_one_compartment", "bolus", frames)
    words = {"dose": f"{DOSE} g", "route": "bolus", "integration": "instant"}
    own = fit("pk_one_compartment", curves_of(curve, frames), **words)
    assert dict(zip(own.parameters, own.display, strict=True))["V"] == "mL"
    per_gram = fit(
        "pk_one_compartment", curves_of(curve, frames, "1/g"), **words | {"dose": "25 %"}
    )
    assert dict(zip(per_gram.parameters, per_gram.display, strict=True))["CL"] == "g/h"
    np.testing.assert_allclose(per_gram.values, own.values, rtol=1e-6)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({}, StudyError, "needs dose"),
        ({"dose": "1 g"}, StudyError, "needs route"),
        ({"dose": "0 g", "route": "bolus"}, InputError, "above zero"),
        ({"dose": "-1 g", "route": "bolus"}, InputError, "above zero"),
        ({"dose": "1 mol", "route": "bolus"}, UnitsError, "dose"),
        ({"dose": "1", "route": "bolus"}, UnitsError, "dose"),
        ({"dose": "1 g", "route": "oral"}, StudyError, "expected one of first_order"),
        ({"dose": "1 g", "route": "infusion"}, InputError, "infusion time"),
        ({"dose": "1 g", "route": "bolus", "infusion": "1 h"}, InputError, "infusion time"),
        ({"dose": "1 g", "route": "infusion", "infusion": "0 h"}, InputError, "above zero"),
        ({"dose": "1 g", "route": "bolus", "free": ("ka",)}, StudyError, "no parameter 'ka'"),
    ],
)
def test_what_makes_no_sense_is_refused(words, error, message):
    frames = frames_of(TIMES)
    curves = curves_of(predicted("pk_one_compartment", "bolus", frames), frames)
    with pytest.raises(error, match=message):
        fit("pk_one_compartment", curves, **words)


def test_curves_in_other_units_than_those_inside_are_refused():
    frames = frames_of(TIMES)
    curves = curves_of(predicted("pk_one_compartment", "bolus", frames), frames, "mg/L")
    with pytest.raises(UnitsError, match="expected them in g/mL"):
        fit("pk_one_compartment", curves, dose="1 g", route="bolus")


def test_three_models_are_in_the_catalogue():
    named = [name for name in catalog.declarations("models") if name.startswith("pk_")]
    assert named == ["pk_one_compartment", "pk_three_compartment", "pk_two_compartment"]
