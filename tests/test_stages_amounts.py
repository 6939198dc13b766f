"""The units of a dose and of volumes, as they follow from a concentration."""

from __future__ import annotations

import pytest

from igdd import catalog
from igdd.errors import UnitsError
from igdd.stages.amounts import concrete, inside, quotient


@pytest.mark.parametrize(
    ("unit", "parts"),
    [
        ("mg/L", ("mg", "L")), ("%ID/g", ("%", "g")), ("kBq/cc", ("kBq", "mL")),
        ("umol/L", ("umol", "L")), ("kBq", ("kBq", "")), ("uM", ("umol", "L")),
    ],
)  # fmt: skip
def test_a_concentration_is_an_amount_over_a_space(unit, parts):
    assert quotient(unit) == parts


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("ng/mL", "g/mL"), ("%ID/mL", "1/mL"), ("%ID/g", "1/g"), ("MBq/L", "Bq/mL"),
        ("nM", "mol/mL"), ("%", "1"), ("MBq", "Bq"), ("ug/g", "g/g"),
    ],
)  # fmt: skip
def test_the_unit_inside_is_that_of_the_amount_and_the_space(unit, expected):
    assert inside(unit) == expected


@pytest.mark.parametrize("unit", ["HU", "mg/min", "mm"])
def test_what_is_no_concentration_is_refused(unit):
    with pytest.raises(UnitsError):
        inside(unit)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("mg/L", {"CL": "L/h", "V": "L", "AUC": "h.mg/L", "dose": "mg"}),
        ("%ID/g", {"CL": "g/h", "V": "g", "AUC": "h.%/g", "dose": "%"}),
        ("Bq/mL", {"CL": "mL/h", "V": "mL", "AUC": "h.Bq/mL", "dose": "Bq"}),
    ],
)
def test_a_model_takes_the_units_of_the_concentration(unit, expected):
    model = catalog.find("models", "pk_one_compartment")
    model = model.variant(model, {"dose": 1.0, "route": "bolus", "infusion": None})
    model = concrete(model, unit)
    units = {one.name: one.unit for one in (*model.parameters, *model.derived, *model.options)}
    assert {name: units[name] for name in expected} == expected


def test_a_model_without_a_dose_stays_as_it_is():
    model = catalog.find("models", "mono_exponential")
    assert concrete(model, "HU") is model


def test_an_amount_without_a_space_gives_no_clearance():
    with pytest.raises(UnitsError, match="no volume or mass"):
        concrete(catalog.find("models", "pk_one_compartment"), "kBq")
