"""Overview: the rules by which the report chooses what to speak of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import report_studies as studies
from igdd.report import overview as module
from igdd.report.overview import LESIONS, group_means, overview, region_kinds
from igdd.results import FINDINGS


@pytest.fixture(scope="module")
def trial():
    return studies.trial()


def test_the_interval_of_an_arm_is_students_t_over_subject_means():
    rows = studies.table(
        [
            studies.row(subject=subject, region="lesion", value=value)
            for subject, values in (("1", (1.0, 3.0)), ("2", (5.0,)), ("3", (2.0, 2.0)))
            for value in values
        ]
    ).assign(group="a")
    mean = group_means(rows, ["group"]).iloc[0]
    per_subject = np.array([2.0, 5.0, 2.0])
    low, high = stats.t.interval(0.95, 2, per_subject.mean(), stats.sem(per_subject))
    assert_allclose((mean["value"], mean["low"], mean["high"]), (3.0, low, high), rtol=1e-12)
    assert (mean["subjects"], mean["entries"]) == (3, 5)


def test_one_subject_keeps_the_interval_of_its_own_measurement():
    rows = studies.table([studies.row(value=2.0, low=1.5, high=2.6)]).assign(group="a")
    mean = group_means(rows, ["group"]).iloc[0]
    assert (mean["low"], mean["high"]) == (1.5, 2.6)


def test_two_subjects_have_no_interval():
    rows = studies.table([studies.row(subject=name) for name in "ab"]).assign(group="a")
    assert group_means(rows, ["group"])[["low", "high"]].isna().all(axis=None)


def test_sessions_are_ordered_by_time_not_by_name(trial):
    assert overview(trial).sessions == ("4h", "24h", "72h")


def test_headlines_speak_of_the_one_compared_session_else_of_the_last(trial):
    assert overview(trial).focus == "24h"
    findings = pd.DataFrame(
        [studies.finding(session=name) for name in studies.SESSIONS], columns=list(FINDINGS)
    )
    assert overview(replace(trial, findings=findings)).focus == "72h"
    assert overview(studies.phantom()).focus == "recon2"


def test_the_level_is_percent_per_gram_then_suv_then_concentration_then_ratio(trial):
    assert overview(trial).level == "percent_id_per_g"
    assert overview(studies.many_regions()).level == "suvbw"
    assert overview(studies.concentration_only()).level == "concentration"
    assert overview(studies.phantom()).level == "ratio_to_sphere_37mm"
    assert overview(studies.all_unknown()).level == ""


def test_a_metric_without_a_number_is_passed_over():
    rows = [
        studies.row(metric="percent_id_per_g", unit="%/g", value=np.nan),
        studies.row(metric="suvbw", unit="g/mL", value=3.0),
    ]
    assert overview(studies.results(rows)).level == "suvbw"


def test_the_last_fitting_entry_of_the_study_gives_the_kind():
    study = {
        "region": [{"name": "*", "kind": "lesion"}, {"name": "liv*", "kind": "reference"}],
    }
    kinds = region_kinds(studies.results([studies.row(), studies.row(region="x")], study=study))
    assert (kinds["liver"], kinds["x"]) == ("reference", "lesion")


def test_the_kinds_that_the_run_recorded_decide():
    results = studies.results([studies.row()], provenance={"kinds": {"liver": "reference"}})
    assert region_kinds(results)["liver"] == "reference"


def test_pictures_know_the_kinds_better_than_patterns(trial):
    assert region_kinds(trial)["lesion_1"] == "lesion"
    assert region_kinds(trial)["blood"] == "blood"
    assert overview(trial).rows.set_index("region").loc["liver", "kind"].iloc[0] == "organ"


def test_excluded_rows_are_in_no_mean_and_still_counted_as_flags():
    rows = [studies.row(value=1.0), studies.row(subject="02", value=9.0, flags="excluded")]
    results = studies.results(rows)
    assert list(overview(results).rows["value"]) == [1.0]
    assert module.flag_counts(results) == {"excluded": (1, 0)}


def test_flags_are_counted_over_both_tables():
    findings = pd.DataFrame([studies.finding(flags="resampled")], columns=list(FINDINGS))
    results = studies.results(
        [studies.row(flags="nan_voxels;resampled"), studies.row(subject="2", flags="resampled")],
        findings=findings,
    )
    assert module.flag_counts(results) == {"nan_voxels": (1, 0), "resampled": (2, 1)}


def test_without_arms_everybody_is_one_group():
    assert overview(studies.many_regions()).groups == ("all subjects",)
    assert overview(studies.two_analytes()).groups == ("no arm", "treated")


def test_one_analyte_is_shown_and_never_the_mean_of_two():
    view = overview(studies.two_analytes())
    assert view.of("percent_id_per_g")["analyte"].nunique() == 1


def test_of_several_frames_the_last_is_taken():
    rows = overview(studies.dynamic()).of("concentration", last=True)
    assert len(rows) == 6
    assert (rows["time"] == rows["time"].max()).all()


def test_lesions_are_pooled_under_one_name(trial):
    pooled = module.with_lesions_pooled(overview(trial).rows)
    assert set(pooled.loc[pooled["kind"] == "lesion", "region"]) == {LESIONS}


def test_without_a_dose_a_ratio_that_was_asked_for_stands_before_the_concentration():
    rows = [
        studies.row(metric="concentration", unit="Bq/mL", value=5e3),
        studies.row(metric="ratio_to_blood", unit="1", value=2.0),
        studies.row(metric="ratio_to_blood_uncorrected", unit="1", value=1.8),
    ]
    assert overview(studies.results(rows)).level == "ratio_to_blood"
