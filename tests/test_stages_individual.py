"""Individuals through the door: NONMEM's etas, recovery of simulated truths, refusals."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from igdd.errors import FitError, InputError, StudyError
from igdd.stages.individual import individual, text

PHENO = """
schema = 1
title = "Phenobarbital in neonates"
[model]
name = "pk_one_compartment"
route = "intravenous"
time = "h"
dose = "mg"
concentration = "mg/L"
[parameters.CL]
typical = "4.69555E-03 L/h"
covariates = [{ column = "WGT", kind = "power", reference = 1.0, exponent = 1.0 }]
[parameters.V]
typical = "9.84258E-01 L"
covariates = [
  { column = "WGT", kind = "power", reference = 1.0, exponent = 1.0 },
  { column = "APGR", kind = "below", limit = 5, factor = 1.15892 },
]
[omega]
CL = 2.93508E-02
V = 2.79060E-02
[residual]
proportional = 0.115069544
"""
SIMPLE = """
schema = 1
[model]
name = "pk_one_compartment"
route = "intravenous"
time = "h"
dose = "mg"
concentration = "mg/L"
[parameters.CL]
typical = "5 L/h"
[parameters.V]
typical = "50 L"
[omega]
CL = 0.09
V = 0.04
[residual]
additive = "0.1 mg/L"
"""
EVENTS = "ID,TIME,AMT,DV\n1,0,500,.\n1,1,0,8.9\n1,6,0,5.6\n1,12,0,3.1\n"


def written(tmp_path, content: str, name: str):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


def found_of(tmp_path, events: str = EVENTS, population: str = SIMPLE, **words):
    return individual(
        written(tmp_path, events, "events.csv"), written(tmp_path, population, "pop.toml"), **words
    )


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.reference
def test_phenobarbital_is_that_of_nonmem(tmp_path, reference):
    table = reference("pharmacokinetics/poppk/nonmem_pheno.dta")
    found = individual(table, written(tmp_path, PHENO, "pheno.toml"))
    printed = reference("pharmacokinetics/poppk/nonmem_pheno_real.phi").read_text("utf-8")
    rows = np.array([line.split() for line in printed.splitlines()[2:]], dtype=float)
    subjects = found["subjects"]
    assert len(subjects) == 59
    eta = np.array([[one["eta"]["CL"], one["eta"]["V"]] for one in subjects])
    # printed to six digits
    np.testing.assert_allclose(eta, rows[:, 2:4], atol=2e-6)
    covariance = np.array([one["covariance"] for one in subjects])
    np.testing.assert_allclose(covariance[:, 0, 0], rows[:, 4], atol=2e-7)
    np.testing.assert_allclose(covariance[:, 0, 1], rows[:, 5], atol=2e-7)
    np.testing.assert_allclose(covariance[:, 1, 1], rows[:, 6], atol=2e-7)
    np.testing.assert_allclose([one["objective"] for one in subjects], rows[:, 7], atol=5e-5)
    assert found["objective"] == pytest.approx(586.27605628, abs=1e-5)
    # NONMEM's own line of eta shrinkage is in the .lst, which is not among the data: this is its
    # definition over its own etas
    spread = rows[:, 2:4].std(axis=0, ddof=1) / np.sqrt([2.93508e-2, 2.79060e-2])
    shrunk = [found["shrinkage"]["CL"], found["shrinkage"]["V"]]
    np.testing.assert_allclose(shrunk, 1 - spread, atol=1e-5)


@pytest.mark.reference
def test_theophylline_has_the_likelihood_of_r_nlme(tmp_path, reference):
    rows = rows_of(reference("pharmacokinetics/poppk/theo_sd.csv"))
    lines = ["ID,TIME,DV,AMT,EVID,CMT"]
    for row in rows:
        kind = "1" if row["EVID"] == "101" else row["EVID"]
        lines.append(",".join([row["ID"], row["TIME"], row["DV"], row["AMT"], kind, row["CMT"]]))
    values = {
        row["quantity"]: float(row["value"])
        for row in rows_of(reference("pharmacokinetics/poppk/expected_R_nlme.csv"))
        if row["case"].startswith("Theoph(theo_sd)")
    }
    population = SIMPLE.replace("intravenous", "first_order")
    population = population.replace("5 L/h", f"{np.exp(values['fixed tcl']):.12g} L/h")
    population = population.replace("50 L", f"{np.exp(values['fixed tv']):.12g} L")
    population = population.replace("0.1 mg/L", f"{values['sd Residual']} mg/L")
    population = population.replace(
        "[omega]", f"[parameters.ka]\ntypical = '{np.exp(values['fixed tka']):.12g} 1/h'\n[omega]"
    )
    for name in ("CL", "V"):
        old = {"CL": "CL = 0.09", "V": "V = 0.04"}[name]
        population = population.replace(old, f"{name} = {values[f'sd t{name.lower()}'] ** 2}")
    population = population.replace("[residual]", f"ka = {values['sd tka'] ** 2}\n[residual]")
    found = found_of(tmp_path, "\n".join(lines) + "\n", population)
    likelihood = -(found["objective"] + found["objective_constant"]) / 2
    # nlme linearises at the same etas but stops its alternation at 1e-3
    assert likelihood == pytest.approx(values["logLik"], abs=5e-3)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("name", "model", "columns", "digits"),
    [
        ("Bolus_2CPT", "pk_two_compartment",
         {"CL": "CL", "V1": "V1", "Q": "Q", "V2": "V2"}, {"CL": 0.12, "V1": 0.12}),
        ("Infusion_1CPT", "pk_one_compartment", {"CL": "CL", "V": "V"}, {"CL": 0.08, "V": 0.09}),
        ("Oral_1CPT", "pk_one_compartment",
         {"CL": "CL", "V": "V", "ka": "KA"}, {"CL": 0.09, "V": 0.12, "ka": 0.24}),
    ],
)  # fmt: skip
def test_simulated_individuals_are_recovered(tmp_path, reference, name, model, columns, digits):
    path = reference(f"pharmacokinetics/poppk/{name}.csv")
    rows = {row["ID"]: row for row in rows_of(path)}
    truth = {
        parameter: np.array([float(row[column]) for row in rows.values()])
        for parameter, column in columns.items()
    }
    units = {"C": "L/h", "Q": "L/h", "V": "L", "k": "1/h"}
    parts = [
        "schema = 1", "[model]", f'name = "{model}"',
        f'route = "{"first_order" if "ka" in columns else "intravenous"}"',
        'time = "h"', 'dose = "ug"', 'concentration = "ug/L"',
    ]  # fmt: skip
    for parameter, values in truth.items():
        middle = np.exp(np.log(values).mean())
        parts += [f"[parameters.{parameter}]", f'typical = "{middle} {units[parameter[0]]}"']
    parts.append("[omega]")
    parts += [f"{parameter} = {np.log(values).var()}" for parameter, values in truth.items()]
    # The first occasion of the study: SD 1; its column SS is a code of the design
    parts += [
        "[residual]",
        "proportional = 0.2",
        "[columns]",
        'ignore = ["SS"]',
        "only = { SD = 1 }",
    ]
    found = individual(path, written(tmp_path, "\n".join(parts), "pop.toml"))
    assert [one["subject"] for one in found["subjects"]] == list(rows)
    for parameter, values in truth.items():
        entries = [one["parameters"][parameter] for one in found["subjects"]]
        error = np.log([one["value"] for one in entries]) - np.log(values)
        inside = [
            one["low"] <= value <= one["high"] for one, value in zip(entries, values, strict=True)
        ]
        # 120 individuals at 95 %: four binomial standard deviations
        assert np.mean(inside) > 0.87
        # well determined ones to half again of what was measured here; others beat the population
        assert np.sqrt(np.mean(error**2)) < digits.get(parameter, np.log(values).std())


def test_a_drug_given_again_is_followed(tmp_path):
    rate = 0.1
    times = [0.5, 12.5, 30.0]
    given = [(0.0, 500.0), (12.0, 250.0), (24.0, 250.0)]
    values = [
        sum(amount / 50 * np.exp(-rate * (t - at)) for at, amount in given if t >= at)
        for t in times
    ]
    events = "ID,TIME,AMT,ADDL,II,DV\n1,0,500,0,0,.\n"
    events += f"1,0.5,0,0,0,{values[0]}\n1,12,250,1,12,.\n1,12.5,0,0,0,{values[1]}\n"
    events += f"1,30,0,0,0,{values[2]}\n"
    (one,) = found_of(tmp_path, events)["subjects"]
    # the population's own middle: nothing pulls elsewhere
    assert one["eta"]["CL"] == pytest.approx(0.0, abs=1e-9)
    assert one["parameters"]["CL"]["value"] == pytest.approx(5.0)
    np.testing.assert_allclose([p["predicted"] for p in one["predictions"]], values, rtol=1e-9)


def test_an_individual_without_samples_is_the_population(tmp_path):
    found = found_of(tmp_path, "ID,TIME,AMT,DV\n1,0,500,.\n2,0,500,.\n2,1,0,9.0\n")
    first = found["subjects"][0]
    assert first["eta"] == {"CL": 0.0, "V": 0.0}
    assert "posterior_near_prior" in first["flags"]
    assert first["parameters"]["CL"]["low"] == pytest.approx(5 * np.exp(-1.96 * 0.3), rel=1e-3)


def test_known_standard_deviations_come_from_their_column(tmp_path):
    population = SIMPLE.replace('additive = "0.1 mg/L"', 'known = "SIGMA"')
    events = "ID,TIME,AMT,DV,SIGMA\n1,0,500,.,.\n1,1,0,8.9,0.1\n1,6,0,5.6,0.1\n1,12,0,3.1,0.1\n"
    known = found_of(tmp_path, events, population)["subjects"][0]["eta"]
    plain = found_of(tmp_path)["subjects"][0]["eta"]
    assert known["CL"] == pytest.approx(plain["CL"], rel=1e-9)
    with pytest.raises(InputError, match="expected a standard deviation above zero"):
        found_of(tmp_path, events.replace("5.6,0.1", "5.6,0"), population)
    with pytest.raises(InputError, match="no column 'SIGMA'"):
        found_of(tmp_path, EVENTS, population)


def test_samples_without_a_dose_are_refused(tmp_path):
    with pytest.raises(InputError, match="no dose"):
        found_of(tmp_path, "ID,TIME,AMT,DV\n1,0,0,5\n")


def test_a_proportional_error_before_the_dose_is_refused(tmp_path):
    events = "ID,TIME,AMT,DV\n1,0,0,0.1\n1,1,500,.\n1,2,0,9\n"
    with pytest.raises(FitError, match=r"ID 1.*proportional"):
        found_of(tmp_path, events, SIMPLE.replace('additive = "0.1 mg/L"', "proportional = 0.1"))


def test_words_without_a_target_are_refused(tmp_path):
    with pytest.raises(InputError, match="for a target"):
        found_of(tmp_path, interval="12 h")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises((InputError, StudyError)):
        individual(tmp_path / "no.csv", written(tmp_path, SIMPLE, "pop.toml"))
    with pytest.raises((InputError, StudyError)):
        individual(written(tmp_path, EVENTS, "events.csv"), tmp_path / "no.toml")


def test_the_text_names_everyone_with_an_interval(tmp_path):
    told = text(found_of(tmp_path))
    assert "1 individuals" in told or "1 individual" in told
    assert "CL" in told
    assert "L/h" in told
