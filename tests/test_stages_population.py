"""A population's document: what it says, and what it must not say."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError, StudyError, UnitsError
from igdd.io.event_table import read_events
from igdd.stages.population_file import read_population

PLAIN = """
schema = 1
title = "a drug"
[model]
name = "pk_one_compartment"
route = "first_order"
time = "h"
dose = "g"
concentration = "mg/L"
[parameters.CL]
typical = "50 mL/min"
covariates = [
  { column = "WT", kind = "power", reference = 70.0, exponent = 0.75 },
  { column = "SEX", kind = "category", factors = { male = 1.0, female = 0.8 } },
]
[parameters.V]
typical = "20 L"
distribution = "normal"
[parameters.ka]
typical = "1.5 1/h"
[parameters.F]
typical = 0.6
distribution = "logit-normal"
[omega]
CL = 0.09
V = 4.0
F = 0.2
covariance = [["CL", "V", 0.1]]
[residual]
proportional = 0.1
additive = "50 ug/L"
"""


def written(tmp_path, text: str = PLAIN):
    path = tmp_path / "population.toml"
    path.write_text(text, encoding="utf-8")
    return path


def events_of(tmp_path, cells: str = "70,male", header: str = "WT,SEX"):
    path = tmp_path / "events.csv"
    path.write_text(
        f"ID,TIME,AMT,DV,{header}\n1,0,1,.,{cells}\n1,1,0,2,{cells}\n", encoding="utf-8"
    )
    return read_events(path)[0][0]


def test_values_are_in_the_tables_units(tmp_path):
    found = read_population(written(tmp_path))
    values = {one.name: (one.value, one.unit) for one in found.parameters}
    assert values["CL"][0] == pytest.approx(3.0)  # L/h
    assert values["CL"][1] == "mL/min"
    assert values["V"] == (20.0, "L")
    assert values["lag"][0] == 0.0
    assert found.additive == pytest.approx(0.05)  # mg/L
    assert found.amount_factor == pytest.approx(1000.0)  # g -> mg
    assert found.random == ("CL", "V", "F")
    np.testing.assert_allclose(found.omega, [[0.09, 0.1, 0], [0.1, 4.0, 0], [0, 0, 0.2]])


def test_a_value_goes_back_to_its_own_unit(tmp_path):
    (first, *_) = read_population(written(tmp_path)).parameters
    assert first.value * first.scale == pytest.approx(50.0)


def test_etas_follow_their_distributions(tmp_path):
    found = read_population(written(tmp_path))
    eta = np.array([[0.2, -1.5, 0.7]])
    own = found.individual(np.array([3.0, 20.0, 1.5, 0.0, 0.6]), eta)[0]
    logit = np.log(0.6 / 0.4) + 0.7
    expected = [3.0 * np.exp(0.2), 18.5, 1.5, 0.0, 1 / (1 + np.exp(-logit))]
    np.testing.assert_allclose(own, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("cells", "factor"),
    [("70,male", 1.0), ("35,male", 0.5**0.75), ("70,female", 0.8)],
)
def test_covariates_multiply_the_typical_value(tmp_path, cells, factor):
    typical = read_population(written(tmp_path)).typical(events_of(tmp_path, cells), "here")
    assert typical[0] == pytest.approx(3.0 * factor)


@pytest.mark.parametrize(
    ("entry", "value", "factor"),
    [
        ('kind = "linear", reference = 40, slope = -0.01', 50, 0.9),
        ('kind = "exponential", reference = 40, slope = 0.02', 50, np.exp(0.2)),
        ('kind = "below", limit = 5, factor = 1.159', 4, 1.159),
        ('kind = "below", limit = 5, factor = 1.159', 5, 1.0),
        ('kind = "category", factors = { 0 = 1.0, 1 = 1.3 }', 1, 1.3),
    ],
)
def test_every_kind_of_covariate_has_its_formula(tmp_path, entry, value, factor):
    text = PLAIN.replace('{ column = "WT", kind = "power", reference = 70.0, exponent = 0.75 }',
                         f'{{ column = "WT", {entry} }}')  # fmt: skip
    events = events_of(tmp_path, f"{value},male")
    typical = read_population(written(tmp_path, text)).typical(events, "here")
    assert typical[0] == pytest.approx(3.0 * factor)


@pytest.mark.parametrize(
    ("cells", "header", "message"),
    [
        ("70", "WT", "no column 'SEX'"),
        (".,male", "WT,SEX", "no WT"),
        ("0,male", "WT,SEX", "factor above zero"),
        ("70,other", "WT,SEX", "expected one of male, female"),
        ("heavy,male", "WT,SEX", "expected a number"),
    ],
)
def test_an_individual_without_its_covariates_is_refused(tmp_path, cells, header, message):
    with pytest.raises(InputError, match=message):
        read_population(written(tmp_path)).typical(events_of(tmp_path, cells, header), "here")


def test_a_covariate_that_changes_is_refused(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("ID,TIME,AMT,DV,WT,SEX\n1,0,1,.,70,male\n1,1,0,2,80,male\n", encoding="utf-8")
    with pytest.raises(InputError, match="several WT: 70, 80"):
        read_population(written(tmp_path)).typical(read_events(path)[0][0], "here")


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("schema = 1", "schema = 2", StudyError, "schema is 2"),
        ("schema = 1", "schema = 1\ncolour = 3", StudyError, "'colour' is unknown"),
        ("[model]", "[model", StudyError, "no TOML"),
        ('name = "pk_one_compartment"', 'name = "pbpk"', StudyError, "expected one of pk_one"),
        ('route = "first_order"', 'route = "oral"', StudyError, "intravenous, first_order"),
        ('time = "h"', 'time = "mg"', UnitsError, "does not convert"),
        ('dose = "g"', 'dose = "mol"', UnitsError, "does not convert"),
        ('concentration = "mg/L"', 'concentration = "mg"', UnitsError, "mg/L"),
        ('typical = "20 L"', 'typical = "20"', UnitsError, "V. typical"),
        ('typical = "20 L"', 'typical = "20 g"', UnitsError, "V. typical"),
        ('typical = "20 L"', 'typical = "-20 L"', StudyError, "above zero"),
        ('typical = "20 L"', "typical = 20", UnitsError, "V. typical"),
        ('typical = "1.5 1/h"', 'colour = "1.5 1/h"', StudyError, "'colour' is unknown"),
        ("[parameters.ka]", "[parameters.kb]", StudyError, "'kb' is unknown"),
        ("typical = 0.6", "typical = 1.6", StudyError, "share below 1"),
        ('distribution = "normal"', 'distribution = "flat"', StudyError, "log-normal, normal"),
        ('distribution = "normal"', 'distribution = "logit-normal"', StudyError, "is for F"),
        ("CL = 0.09", "CL = -0.09", StudyError, "above 0"),
        ("CL = 0.09", "CL = 1e999", StudyError, "expected a number"),
        ("CL = 0.09", "CL = true", StudyError, "expected a number"),
        ("0.1]]", "9.0]]", StudyError, "positive definite"),
        ('["CL", "V", 0.1]', '["CL", "ka", 0.1]', StudyError, "covariance"),
        ('["CL", "V", 0.1]', '["CL", "CL", 0.1]', StudyError, "covariance"),
        ("proportional = 0.1", "proportional = -0.1", StudyError, "above zero"),
        ('additive = "50 ug/L"', 'additive = "50 ug"', UnitsError, "ug"),
        ("exponent = 0.75", 'exponent = "__import__(1)"', StudyError, "expected a number"),
        ('kind = "power"', 'kind = "eval"', StudyError, "kind is 'eval'"),
        ("reference = 70.0", "reference = 0", StudyError, "above 0"),
        ("reference = 70.0, ", "", StudyError, "reference is missing"),
    ],
)
def test_what_no_population_says_is_refused(tmp_path, old, new, error, message):
    assert old in PLAIN
    with pytest.raises(error, match=message) as caught:
        read_population(written(tmp_path, PLAIN.replace(old, new, 1)))
    assert "population.toml" in str(caught.value)


@pytest.mark.parametrize("text", ["", "\0", "[" * 5000, "schema = 1\n" * 2, "a = " + "[" * 3000])
def test_what_is_no_document_is_refused(tmp_path, text):
    with pytest.raises((StudyError, InputError)):
        read_population(written(tmp_path, text))


@pytest.mark.parametrize(
    "section",
    ["model", "parameters", "omega", "residual"],
)
def test_a_section_that_is_no_table_is_refused(tmp_path, section):
    text = f"schema = 1\n{section} = 3\n"
    text += "".join(
        f"{one} = {{}}\n" for one in ("model", "parameters", "omega", "residual") if one != section
    )
    with pytest.raises(StudyError, match=section):
        read_population(written(tmp_path, text))
