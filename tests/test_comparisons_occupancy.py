"""Occupancy from two sessions: exact where VT follow the model, refused where nothing pairs."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.comparisons.occupancy import occupancy
from igdd.errors import StudyError
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
