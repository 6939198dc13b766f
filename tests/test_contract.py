"""Contracts: what holds for every declaration, tested before its author writes a line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from igdd import catalog
from igdd.declare import REQUIRED, summary
from igdd.document import options_model
from igdd.results import KEY
from igdd.stages.measure import measure
from igdd.types import Session

EVERY = [(kind, name) for kind in catalog.PLACES for name in catalog.declarations(kind)]
METRICS = list(catalog.declarations("metrics"))


def sensible_options(declaration, session: Session) -> dict:
    """Values for the options that have no default: a region of the session, or a plain number."""
    made = {"region": session.curves.names[0], "text": "a", "texts": ("a", "b"), "flag": True}
    return {
        option.name: (option.choices[0] if option.choices else made.get(option.unit, 1.0))
        for option in declaration.options
        if option.default == REQUIRED
    }


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_declaration_says_what_it_is(kind, name):
    assert len(summary(catalog.find(kind, name))) > 10


@pytest.mark.parametrize("name", METRICS)
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
