"""Wording: what a number looks like in print."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from igdd.report import wording


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "printed"),
    [
        (21.34, 19.81, 22.79, "%ID", "21.3 %ID (19.8 to 22.8)"),
        (1.6, 1.1, 2.4, "", "1.6 (1.1 to 2.4)"),
        (0.01234, 0.0102, 0.0144, "%ID/g", "0.0123 %ID/g (0.0102 to 0.0144)"),
        (97.3, 94.1, 100.5, "%", "97.3 % (94.1 to 100.5)"),
        (-0.3, -0.9, 0.3, "", "−0.3 (−0.9 to 0.3)"),
        (0.0, -1.2, 1.2, "%", "0.0 % (−1.2 to 1.2)"),
        (3.2e-7, 3.0e-7, 3.4e-7, "", "3.20 × 10⁻⁷ (3.00 × 10⁻⁷ to 3.40 × 10⁻⁷)"),
        (5.0, math.nan, math.nan, "g/mL", "5.00 g/mL (95 % interval not known)"),
        (math.nan, 1.0, 2.0, "%", "not known"),
        (math.inf, 1.0, 2.0, "%", "not known"),
    ],
)
def test_a_value_is_printed_with_its_unit_and_interval(value, low, high, unit, printed):
    assert wording.with_interval(value, low, high, unit) == printed


@given(st.floats(1e-3, 1e5), st.floats(0.01, 0.9))
def test_the_printed_value_lies_within_a_tenth_of_the_interval_of_the_true_one(value, share):
    # Two digits of the half-width are shown, or three of the value: rounding moves the value by
    # half a unit of the last digit, at most a twentieth of the half-width or 0.5 % of the value.
    half = value * share
    text = wording.with_interval(value, value - half, value + half)
    shown = float(text.split(" (")[0].replace("\N{NO-BREAK SPACE}", "").replace("−", "-"))
    assert abs(shown - value) <= max(0.05 * half, 0.0051 * value, 0.5 * (value >= 100))


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_can_be_printed(value):
    assert wording.number(value)
    assert "nan" not in wording.number(value)
    assert "-" not in wording.number(value)


def test_a_session_with_a_nominal_time_is_spoken_of_as_a_time():
    assert wording.at_session("24h") == "at 24 h"
    assert wording.at_session("7 d") == "at 7 d"
    assert wording.at_session("recon1") == "in session recon1"


def test_one_is_singular():
    assert wording.count(1, "lesion") == "1 lesion"
    assert wording.count(0, "lesion") == "0 lesions"


def test_units_are_spelled_as_the_field_spells_them():
    assert wording.metric_unit("percent_id_per_g_uncorrected", "%/g") == "%ID/g"
    assert wording.metric_unit("drug_concentration", "ug/g") == "µg/g"
    assert wording.metric_unit("suvbsa", "cm2/mL") == "cm²/mL"
    assert wording.metric_unit("ratio_to_blood", "1") == ""


def test_percent_per_gram_of_a_mouse_stays_and_of_a_patient_becomes_per_kilogram():
    assert wording.scaled("percent_id_per_g", "%/g", 8.0) == (1.0, "%ID/g")
    assert wording.scaled("percent_id_per_g", "%/g", 0.008) == (1000.0, "%ID/kg")


@pytest.mark.parametrize(
    ("unit", "size", "shown", "printed"),
    [
        # Typical tissue of a gadolinium study, its late tail, a blood peak, and nothing at all.
        ("mol/mL", 2.0e-7, 0.2, "mmol/L"),
        ("mol/mL", 3.0e-8, 30.0, "µmol/L"),
        ("mol/mL", 6.0e-6, 6.0, "mmol/L"),
        ("mol/mL", 5.0e-13, 0.5, "nmol/L"),
        ("mol/mL", -2.0e-7, -0.2, "mmol/L"),
        ("mol/mL", 0.0, 0.0, "mmol/L"),
        ("mol/mL.s", 2.0e-5, 20.0, "mmol/L·s"),
        ("mol.s/mL", 2.0e-5, 20.0, "mmol·s/L"),
        ("Bq.s/mL", 5300.0, 5.3, "kBq·s/mL"),
        ("mol/mL/s", 2.0e-9, 2.0, "µmol/L/s"),
        ("mol/g", 2.0e-7, 0.2, "mmol/kg"),
        ("g/mL", 4.0e-3, 4.0, "mg/mL"),
        ("Bq/mL", 5300.0, 5.3, "kBq/mL"),
        ("Bq/mL.s", 5300.0, 5.3, "kBq/mL·s"),
        ("1/s", 2e-5, 2e-5, "1/s"),
    ],
)
def test_a_concentration_is_printed_in_a_unit_that_keeps_its_number_short(
    unit, size, shown, printed
):
    factor, name = wording.scaled("amount_concentration", unit, size)
    assert name == printed
    # a power of ten times a double: one rounding
    assert factor * size == pytest.approx(shown, rel=1e-15)


def test_an_suv_keeps_its_unit_and_an_unknown_size_changes_nothing():
    assert wording.scaled("suvbw", "g/mL", 0.004) == (1.0, "g/mL")
    assert wording.scaled("concentration", "mol/mL", math.nan) == (1.0, "mol/mL")
    assert wording.scaled("x", "molecules/mL", 1e-7) == (1.0, "molecules/mL")


def test_a_contrast_agent_has_no_activity():
    assert wording.axis_title("concentration", "mmol/L") == "concentration (mmol/L)"
    assert wording.metric_name("concentration", "mmol/L") == "concentration"
    assert wording.axis_title("concentration", "kBq/mL") == "activity concentration (kBq/mL)"


@pytest.mark.parametrize(
    ("model", "spelled"),
    [
        ("srtm2", "SRTM2"),
        ("mrtm1", "MRTM1"),
        ("logan", "Logan"),
        ("reference_patlak", "reference Patlak"),
        ("patlak_dce", "Patlak (DCE)"),
        ("two_tissue", "two-tissue"),
        ("two tissue", "two-tissue"),
        ("two_compartment_exchange", "two-compartment exchange"),
        ("dual_input_single_compartment", "dual-input single compartment"),
        ("bi_exponential", "bi-exponential"),
        ("korsmeyer_peppas", "Korsmeyer-Peppas"),
        ("peppas_sahlin", "Peppas-Sahlin"),
    ],
)
def test_a_model_is_spelled_as_the_field_spells_it(model, spelled):
    assert wording.model_name(model) == spelled


def test_no_model_of_the_catalogue_is_spelled_with_an_underscore():
    from igdd import catalog

    names = [wording.model_name(one) for one in catalog.declarations("models")]
    assert not [name for name in names if "_" in name]
    assert len(set(names)) == len(names)


def test_a_parameter_is_named_with_its_model_and_the_longest_model_is_its_own():
    assert wording.metric_name("two_tissue_irreversible_Ki") == "Ki (two-tissue irreversible)"
    assert wording.metric_name("two_tissue_VT") == "VT (two-tissue)"
    assert wording.metric_name("two_tissue_of_mine") == "two tissue of mine"
    assert wording.metric_name("iauc_60") == "IAUC60"
