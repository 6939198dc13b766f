"""Occupancy from two sessions: exact where VT follow the model, refused where nothing pairs."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.comparisons.occupancy import occupancy
from igdd.errors import StudyError, UnitsError
from igdd.results import FINDINGS
from report_studies import row, table

VND, OCCUPANCY = 1.5, 0.7
VS = {"cortex": 2.0, "thalamus": 3.5, "striatum": 5.0, "cerebellum": 0.4}


def measured(subjects=("1", "2", "3"), metric="two_tissue_VT", names=tuple(VS)):
    rows = []
    for number, subject in enumerate(subjects):
        share = OCCUPANCY + 0.05 * number
        for session, left in (("base", 1.0), ("drug", 1 - share)):
            rows += [
                row(subject=subject, session=session, region=name, metric=metric, unit="mL/cm3",
                    value=VND + VS[name] * left if metric.endswith("VT") else VS[name] * left)
                for name in names
            ]  # fmt: skip
    return table(rows)


def of(findings, contrast):
    return findings[findings["contrast"] == contrast].iloc[0]


def test_noiseless_volumes_give_occupancy_and_VND_exactly():
    found = occupancy(measured(), on="two_tissue_VT", sessions=("base", "drug"), kinds={})
    assert of(found, "occupancy of subject 1")["estimate"] == pytest.approx(0.70, abs=1e-12)
    assert of(found, "VND of subject 1")["estimate"] == pytest.approx(VND, abs=1e-11)
    assert of(found, "mean occupancy")["estimate"] == pytest.approx(0.75, abs=1e-12)
    assert list(found.columns) == list(FINDINGS)


def test_binding_potentials_give_one_for_each_region():
    rows = measured(metric="srtm_BPND")
    found = occupancy(rows, on="srtm_BPND", sessions=("base", "drug"), kinds={})
    first = found[(found["contrast"] == "occupancy of subject 1")]
    assert first["estimate"].to_numpy() == pytest.approx(np.full(4, 0.7), abs=1e-12)
    assert set(found[found["contrast"] == "mean occupancy"]["region"]) == set(VS)


def test_a_sentence_says_it_in_per_cent():
    found = occupancy(measured(), on="two_tissue_VT", sessions=("base", "drug"), kinds={})
    assert of(found, "mean occupancy")["sentence"] == "Mean occupancy in drug: 75 % (63 to 87)."


def test_two_regions_are_too_few_for_a_plot():
    rows = measured(names=("cortex", "thalamus"))
    found = occupancy(rows, on="two_tissue_VT", sessions=("base", "drug"), kinds={})
    assert np.isnan(of(found, "occupancy of subject 1")["estimate"])
    assert of(found, "occupancy of subject 1")["flags"] == "not_estimable"


def flagged(rows, region, flags, *, session="base", subject="1", **values):
    """The table with one region's fit flagged, and other values in it."""
    where = (rows["region"] == region) & (rows["session"] == session) & (rows["subject"] == subject)
    rows.loc[where, "flags"] = flags
    for name, value in values.items():
        rows.loc[where, name] = value
    return rows


@pytest.mark.parametrize("flag", ["poorly_identified", "at_bound", "not_converged"])
@pytest.mark.parametrize("session", ["base", "drug"])
def test_a_fit_in_doubt_is_left_out_and_said(flag, session):
    rows = flagged(
        measured(), "striatum", f"input_extended;{flag}", session=session, value=874.0, sd=5255.0
    )
    found = occupancy(rows, on="two_tissue_VT", sessions=("base", "drug"), kinds={})
    first = of(found, "occupancy of subject 1")
    assert first["estimate"] == pytest.approx(0.70, abs=1e-12)
    assert first["n"] == 3
    assert first["flags"] == "doubtful_regions_left_out"
    assert first["sentence"].endswith("1 region left out, fits in doubt: striatum.")
    assert of(found, "VND of subject 1")["flags"] == "doubtful_regions_left_out"
    assert of(found, "occupancy of subject 2")["flags"] == ""


def test_too_few_regions_left_is_no_estimate_and_says_why():
    rows = flagged(measured(), "striatum", "poorly_identified")
    rows = flagged(rows, "cortex", "not_fitted", session="drug", value=np.nan)
    found = occupancy(rows, on="two_tissue_VT", sessions=("base", "drug"), kinds={})
    first = of(found, "occupancy of subject 1")
    assert np.isnan(first["estimate"])
    assert first["flags"] == "doubtful_regions_left_out;not_estimable"
    assert "keeps 2 regions" in first["sentence"]
    assert "cortex, striatum" in first["sentence"]
    # two subjects are too few for a mean
    assert "mean occupancy" not in set(found["contrast"])


def test_regions_of_one_volume_have_no_slope():
    rows = measured(subjects=("1",))
    rows.loc[rows["session"] == "base", "value"] = 2.0
    found = occupancy(rows, on="two_tissue_VT", sessions=("base", "drug"), kinds={})
    assert np.isnan(of(found, "occupancy of subject 1")["estimate"])


def test_a_binding_potential_in_doubt_gives_no_occupancy():
    rows = flagged(measured(metric="srtm_BPND"), "cortex", "at_bound", value=1e4)
    found = occupancy(rows, on="srtm_BPND", sessions=("base", "drug"), kinds={})
    first = found[(found["contrast"] == "occupancy of subject 1") & (found["region"] == "cortex")]
    assert np.isnan(first["estimate"].iloc[0])
    assert first["flags"].iloc[0] == "doubtful_regions_left_out;not_estimable"
    assert "in cortex is not known" in first["sentence"].iloc[0]


KINDS = {"cerebellum": "reference", "striatum": "blood"}


def test_blood_and_reference_regions_hold_no_target():
    rows = flagged(measured(names=(*VS,)), "striatum", "", value=40.0)
    rows.loc[rows["region"] == "cortex", "region"] = "putamen"
    extra = measured(names=("cortex",))
    both = table([*rows.to_dict("records"), *extra.to_dict("records")])
    found = occupancy(both, on="two_tissue_VT", sessions=("base", "drug"), kinds=KINDS)
    # putamen, cortex and thalamus, of which two have the same VT
    assert of(found, "occupancy of subject 1")["n"] == 3
    assert of(found, "occupancy of subject 1")["estimate"] == pytest.approx(0.70, abs=1e-12)


def test_a_reference_region_that_is_named_counts():
    found = occupancy(
        measured(), on="two_tissue_VT", sessions=("base", "drug"),
        kinds={"cerebellum": "reference"}, regions={"kind": None, "name": ("cerebellum", "*")},
    )  # fmt: skip
    assert of(found, "occupancy of subject 1")["n"] == 4


def test_a_model_fitted_twice_is_refused():
    rows = measured()
    twice = table([*rows.to_dict("records"), {**rows.iloc[0].to_dict(), "time": 5.0}])
    with pytest.raises(StudyError, match="is there twice"):
        occupancy(twice, on="two_tissue_VT", sessions=("base", "drug"), kinds={})


def test_without_standard_errors_the_plot_is_unweighted_and_says_so():
    rows = measured()
    rows["sd"] = np.nan
    found = occupancy(rows, on="two_tissue_VT", sessions=("base", "drug"), kinds={})
    assert of(found, "occupancy of subject 1")["estimate"] == pytest.approx(0.70, abs=1e-12)
    assert "unweighted" in of(found, "occupancy of subject 1")["method"]


DOSED = {"1": 2.0, "2": 5.0, "3": 20.0, "4": 80.0}


def dosed():
    rows = measured(subjects=tuple(DOSED), metric="srtm_BPND")
    for subject, dose in DOSED.items():
        where = (rows["subject"] == subject) & (rows["session"] == "drug")
        rows.loc[where, "value"] = [VS[name] * (1 - 0.9 * dose / (8 + dose)) for name in VS]
    return rows


def test_doses_give_the_dose_of_half_the_effect():
    found = occupancy(
        dosed(), on="srtm_BPND", sessions=("base", "drug"), kinds={},
        doses=("1=2 mg", "2=5 mg", "3=0.02 g", "4=80 mg"),
    )  # fmt: skip
    halves = found[found["contrast"] == "ED50"]
    assert set(halves["region"]) == set(VS)
    assert halves["estimate"].to_numpy() == pytest.approx(np.full(4, 8.0), rel=1e-6)
    assert set(halves["unit"]) == {"mg"}
    most = found[found["contrast"] == "Emax"]
    assert most["estimate"].to_numpy() == pytest.approx(np.full(4, 0.9), rel=1e-6)
    assert halves["sentence"].iloc[0].startswith("ED50 in cortex: 8 mg")


def test_too_few_doses_are_no_estimate():
    found = occupancy(
        dosed(), on="srtm_BPND", sessions=("base", "drug"), kinds={}, doses=("1=2 mg", "2=5 mg"),
    )  # fmt: skip
    assert np.isnan(of(found, "ED50")["estimate"])
    assert of(found, "ED50")["flags"] == "not_estimable"


@pytest.mark.parametrize("doses", [("1",), ("1=5",), ("1=5 mg", "1=6 mg"), ("=5 mg",), ("9=5 mg",)])
def test_doses_that_say_too_little_are_refused(doses):
    with pytest.raises(StudyError, match=r"compare\.doses"):
        occupancy(dosed(), on="srtm_BPND", sessions=("base", "drug"), kinds={}, doses=doses)


def test_doses_of_different_kinds_are_refused():
    with pytest.raises(UnitsError, match=r"compare\.doses, 2"):
        occupancy(
            dosed(), on="srtm_BPND", sessions=("base", "drug"), kinds={},
            doses=("1=5 mg", "2=3 mL"),
        )  # fmt: skip


def test_regions_are_chosen_by_name():
    found = occupancy(
        measured(), on="two_tissue_VT", sessions=("base", "drug"), kinds={},
        regions={"kind": None, "name": ("c*", "thalamus")},
    )  # fmt: skip
    assert of(found, "occupancy of subject 1")["n"] == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on": "percent_id", "sessions": ("base", "drug")}, "distribution volume"),
        ({"on": "two_tissue_VT", "sessions": ("base", "base")}, "expected the baseline"),
        ({"on": "two_tissue_VT", "sessions": ("base", "later")}, "'later', which has no"),
    ],
)
def test_what_does_not_pair_is_refused(options, said):
    with pytest.raises(StudyError, match=said):
        occupancy(measured(), kinds={}, **options)
