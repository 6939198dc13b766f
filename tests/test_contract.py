"""Contracts: what holds for every declaration, tested before its author writes a line."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from igdd import catalog
from igdd.declare import REQUIRED, Model, summary
from igdd.document import options_model
from igdd.results import COURSE, KEY, Value
from igdd.stages.fit import fit
from igdd.stages.fit_text import as_json
from igdd.stages.measure import measure, table_of
from igdd.stages.protocol import held_values, si_factor
from igdd.types import Curves, Session

EVERY = [(kind, name) for kind in catalog.PLACES for name in catalog.declarations(kind)]
METRICS = [name for name, one in catalog.declarations("metrics").items() if one.level != "subject"]
COURSES = [name for name, one in catalog.declarations("metrics").items() if one.level == "subject"]
MODELS = [name for name, one in catalog.declarations("models").items() if not one.describes]
DRIVEN = [name for name in MODELS if catalog.find("models", name).needs]
OPEN = [name for name in MODELS if not catalog.find("models", name).closed]


def sensible_options(declaration, session: Session) -> dict:
    """Values for the options that have no default: a region of the session, or a plain number."""
    made = {"region": session.curves.names[0], "text": "a", "texts": ("a", "b"), "flag": True}
    made["metric"] = "percent_id"
    return {
        option.name: (option.choices[0] if option.choices else made.get(option.unit, 0.5))
        for option in declaration.options
        if option.default == REQUIRED
    }


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_declaration_says_what_it_is(kind, name):
    assert len(summary(catalog.find(kind, name))) > 10


@pytest.mark.parametrize("name", [*METRICS, *COURSES])
def test_every_metric_is_a_table_of_the_study(name):
    schema = options_model(catalog.find("metrics", name), "metric").model_json_schema()
    assert schema["additionalProperties"] is False
    json.dumps(schema)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_measures_the_phantom(name, phantom_session):
    metric = catalog.find("metrics", name)
    options = sensible_options(metric, phantom_session)
    table = measure(phantom_session, [(metric, options)])
    assert len(table)
    assert not table.duplicated(list(KEY)).any()
    declared = {given.format(**options) for given, _ in metric.gives} or {metric.name}
    assert set(table["metric"]) <= declared
    assert np.isfinite(table["value"]).all()


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_regions_changes_nothing(name, phantom_session, turned_session):
    metric = catalog.find("metrics", name)
    options = sensible_options(metric, phantom_session)
    key = list(KEY)
    first, second = (
        measure(one, [(metric, options)]).sort_values(key)["value"].to_numpy()
        for one in (phantom_session, turned_session)
    )
    np.testing.assert_allclose(first, second, rtol=1e-9)  # rounding of sums in another order


@pytest.mark.parametrize("name", METRICS)
def test_the_same_call_gives_the_same_rows(name, phantom_session):
    metric = catalog.find("metrics", name)
    options = sensible_options(metric, phantom_session)
    first, second = (measure(phantom_session, [(metric, options)]) for _ in range(2))
    assert first.equals(second)


@pytest.mark.parametrize("name", COURSES)
def test_every_metric_of_a_subject_follows_the_phantom(name, phantom_session, phantom_course):
    metric = catalog.find("metrics", name)
    options = {**metric.defaults, **sensible_options(metric, phantom_session)}
    found = [
        one.row("01", COURSE, "plain")
        for one in metric.function(phantom_course, **options)
        if isinstance(one, Value)
    ]
    table = table_of(found)
    assert len(table)
    assert set(table["metric"]) <= {given.format(**options) for given, _ in metric.gives}
    again = [one for one in metric.function(phantom_course, **options) if isinstance(one, Value)]
    assert table.equals(table_of([one.row("01", COURSE, "plain") for one in again]))


# Values in display units of parameters that declare no start.
TYPICAL = {
    "A1": 40.0, "A2": 20.0, "A3": 10.0, "rate1": 0.05, "rate2": 0.004, "rate3": 0.0006,
    "BPND": 1.2, "DVR": 1.8, "Ki": 0.02, "Kiref": 0.02, "R1": 0.9, "V": 0.6, "VT": 2.5, "b": -12.0,
    "k2prime": 0.06, "Vb": 0.0, "delay": 0.0,
    "CL": 0.2, "V1": 0.6, "V2": 0.9, "V3": 3.0, "Q": 0.3, "Q2": 0.6, "Q3": 0.12, "ka": 6.0,
}  # fmt: skip


def truth_of(model: Model) -> np.ndarray:
    """Likely parameters (p,) of a model in SI: between its starts, held ones where they are."""
    values = []
    for one in model.parameters:
        if one.held is not None:
            values.append(one.held)
        elif one.start:
            values.append(float(np.mean(one.start)) * 0.9)
        else:
            values.append(TYPICAL[one.name])
    return np.array(values) * [si_factor(one.unit) for one in model.parameters]


def said(model: Model, protocol) -> dict:
    """The protocol's value of every option that a caller must give."""
    return {
        one.name: protocol.options[one.name] for one in model.options if one.default == REQUIRED
    }


# Units of the curves that a family asks for; those of the inputs are in kBq/mL.
UNITS = {"pharmacokinetic": "Bq/mL", "release": "%"}


def curves_of(values: np.ndarray, model: Model, protocol) -> Curves:
    count, size = values.shape
    return Curves(
        values=values,
        covariance=np.full((size, count, count), np.nan),
        volume=np.ones(count),
        volume_sd=np.zeros(count),
        names=tuple(f"region {number}" for number in range(count)),
        kinds=("organ",) * count,
        frames=protocol.frames,
        quantity="concentration",
        unit=UNITS.get(model.family, "kBq/mL"),
        analyte="label",
    )


def scaled(protocol, factor: float):
    """The protocol with its inputs multiplied."""
    inputs = {
        role: replace(curve, values=curve.values * factor)
        for role, curve in protocol.inputs.items()
    }
    return replace(protocol, inputs=inputs)


def predicted(model: Model, protocol) -> np.ndarray:
    return model.predict(truth_of(model)[None], protocol)


@pytest.mark.parametrize("name", DRIVEN)
def test_no_input_gives_an_empty_tissue(name, protocol_for):
    model = catalog.find("models", name)
    curve = predicted(model, scaled(protocol_for(model), 0.0))
    assert np.nanmax(np.abs(curve)) == 0


@pytest.mark.parametrize("name", DRIVEN)
def test_twice_the_input_gives_twice_the_tissue(name, protocol_for):
    model = catalog.find("models", name)
    once, twice = (predicted(model, scaled(protocol_for(model), by)) for by in (1.0, 2.0))
    assert np.nanmax(once) > 0
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-12, atol=1e-12 * np.nanmax(once))


@pytest.mark.parametrize("name", DRIVEN)
def test_refining_the_knots_of_the_input_changes_nothing(name, protocol_for):
    model = catalog.find("models", name)
    protocol = protocol_for(model)
    finer = {}
    for role, curve in protocol.inputs.items():
        between = (curve.time[1:] + curve.time[:-1]) / 2
        knots = np.sort(np.concatenate([curve.time, between]))
        values = np.interp(knots, curve.time, curve.values)
        finer[role] = replace(curve, time=knots, values=values)
    curve = predicted(model, protocol)
    again = predicted(model, replace(protocol, inputs=finer))
    # rounding: the exact kernel knows no knots
    np.testing.assert_allclose(again, curve, rtol=1e-9, atol=1e-9 * np.nanmax(curve))


@pytest.mark.parametrize("name", MODELS)
def test_display_units_come_back_as_they_went(name):
    model = catalog.find("models", name)
    for one in model.parameters:
        low, high = np.clip(one.bounds, -1e3, 1e3)
        value = low + 0.25 * (high - low)
        held = held_values(model, {one.name: f"{float(value)} {one.unit}".removesuffix(" 1")}, ())
        assert held[one.name] / si_factor(one.unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_finds_itself_without_noise(name, protocol_for):
    model = catalog.find("models", name)
    protocol = protocol_for(model)
    truth = truth_of(model)
    curve = predicted(model, protocol)
    both = np.vstack([curve, 1.5 * curve])
    found = fit(model, curves_of(both, model, protocol), protocol.inputs, **said(model, protocol))
    assert not {"not_fitted", "not_converged"} & {*found.flags[0]}
    # Graphical and multilinear methods integrate tissue over frames: an error of theirs, not ours.
    tolerance = 0.05 if model.closed else 1e-5
    refitted = found.predicted[0]
    used = np.isfinite(refitted)
    assert used.sum() > len(model.parameters)
    size = np.abs(curve[0][used]).max()
    np.testing.assert_allclose(refitted[used], curve[0][used], atol=tolerance * size)
    free = np.array([one.held is None for one in model.parameters])
    np.testing.assert_allclose(found.values[0][: free.size][free], truth[free], rtol=tolerance)
    json.dumps(as_json(found), allow_nan=False)


@pytest.mark.parametrize("name", OPEN)
def test_intervals_of_every_model_cover_its_truth(name, protocol_for):
    from scipy import special

    model = catalog.find("models", name)
    protocol = protocol_for(model)
    truth = truth_of(model)
    curve = predicted(model, protocol)
    noise = 0.01 * curve.mean() * np.random.default_rng(1).standard_normal((200, curve.size))
    found = fit(
        model, curves_of(curve + noise, model, protocol), protocol.inputs, **said(model, protocol)
    )
    sure = np.array(["poorly_identified" not in flags for flags in found.flags])
    assert sure.mean() > 0.5
    free = np.array([one.held is None for one in model.parameters])
    deviation = np.sqrt(np.einsum("njj->nj", found.covariance))[:, : free.size]
    limit = special.stdtrit(curve.size - free.sum(), 0.975) * deviation
    inside = np.abs(found.values[:, : free.size] - truth) <= limit
    covered = inside[np.ix_(sure, free)].mean(axis=0)
    # 200 trials at 95 %: four binomial sd are 6 %
    assert (covered > 0.89).all(), covered
