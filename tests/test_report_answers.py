"""Answers: the sentences say what the table says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import report_studies as studies
from igdd.report.answers import QUESTIONS, answers, finding_sentence
from igdd.report.overview import overview
from igdd.results import FINDINGS, FittedCurves


def texts(results, question=None):
    return [
        answer.text for answer in answers(overview(results)) if question in (None, answer.question)
    ]


def test_an_organ_is_said_with_its_percent_and_interval():
    rows = [studies.row(value=21.34, low=19.81, high=22.79)]
    assert texts(studies.results(rows)) == ["At 24 h, liver holds 21.3 %ID (19.8 to 22.8)."]


def test_arms_are_said_one_by_one_with_their_subjects():
    rows = [
        studies.row(subject=name, arm=arm, value=value)
        for name, arm, value in (("1", "plain", 10.0), ("2", "targeted", 20.0))
    ]
    (text,) = texts(studies.results(rows))
    assert "10.0 %ID (9.8 to 10.2) in the plain arm (1 subject)" in text
    assert "20.0 %ID (19.8 to 20.2) in the targeted arm (1 subject)" in text


def test_the_balance_says_how_much_is_accounted_for_and_where_it_fails():
    common = {"metric": "ledger_percent_id"}
    rows = [
        studies.row(**common, region="total", value=88.0, low=84.0, high=92.0, flags="unaccounted"),
        studies.row(**common, region="unaccounted", value=12.0, flags="unaccounted"),
    ]
    (answer,) = answers(overview(studies.results(rows)))
    assert answer.text == (
        "At 24 h, 88.0 % (84.0 to 92.0) of the given activity is accounted for. "
        "It does not close within its uncertainty for subject 01 (24 h)."
    )
    assert answer.flags == ("unaccounted",)


def test_a_study_of_concentrations_speaks_of_concentrations():
    found = texts(studies.concentration_only())
    assert found[0] == "In session scan1, kidney reaches 15.4 kBq/mL (95 % interval not known)."
    assert all("%ID" not in text for text in found)


def test_two_reconstructions_are_no_course_of_time():
    assert texts(studies.phantom(), "Q2") == []
    assert texts(studies.phantom(), "Q1")[0].endswith("0.970 (0.931 to 1.009) times sphere 37mm.")


def test_a_dynamic_scan_says_when_blood_peaks():
    (text, *_) = texts(studies.dynamic(), "Q2")
    assert "peak" in text
    assert "in the frame at 10.0 s" in text


def test_the_trial_answers_the_first_three_questions_and_the_comparison():
    results = studies.trial()
    found = answers(overview(results))
    assert [question for question in QUESTIONS if any(a.question == question for a in found)][
        :3
    ] == ["Q1", "Q2", "Q3"]
    assert any("1.62 times (95 % 1.14 to 2.31)" in answer.text for answer in found)
    lesions = next(a for a in found if a.text.startswith("At 24 h, the lesions reach"))
    rows = results.measurements
    chosen = rows[
        (rows["metric"] == "percent_id_per_g")
        & (rows["session"] == "24h")
        & (rows["arm"] == "plain")
        & rows["region"].str.startswith("lesion")
    ]
    mean = chosen.groupby("subject")["value"].mean().mean() * 1000
    assert f"{mean:.1f} %ID/kg" in lesions.text
    assert "small_region" in lesions.flags


def test_spread_between_lesions_is_the_coefficient_of_variation():
    values = (1.0, 2.0, 3.0, 6.0)
    rows = [
        studies.row(region=f"lesion_{n}", metric="suvbw", unit="g/mL", value=value)
        for n, value in enumerate(values)
    ]
    study = {"region": [{"name": "lesion_*", "kind": "lesion"}]}
    (text,) = texts(studies.results(rows, study=study), "Q3")
    expected = 100 * np.std(values, ddof=1) / np.mean(values)
    assert f"coefficient of variation of {expected:.0f}\N{NO-BREAK SPACE}%" in text


def test_a_finding_without_a_sentence_is_put_into_words():
    row = studies.finding(region="liver")
    assert finding_sentence(row) == (
        "Liver at 24 h: targeted / plain of uptake per mass is 1.62 (1.14 to 2.31)."
    )


def test_many_findings_are_cut_and_the_cut_is_said():
    findings = pd.DataFrame(
        [studies.finding(region=f"r{n}", p_adjusted=1 - n / 100) for n in range(50)],
        columns=list(FINDINGS),
    )
    found = [
        answer.text
        for answer in answers(overview(studies.results([studies.row()], findings=findings)))
    ]
    assert any("Of 49 further comparisons in the table below, none has" in text for text in found)
    assert any(text.startswith("R0 ") for text in found)


def test_nothing_measured_is_nothing_said():
    assert texts(studies.empty()) == []
    assert texts(studies.all_unknown()) == []


def test_the_studys_first_question_is_answered_even_where_it_cannot_be():
    lacks = "At 24 h the lesions cannot be compared: the plain arm has 1 subject."
    rows = [
        studies.finding(estimate=np.nan, p=np.nan, p_adjusted=np.nan, sentence=lacks),
        studies.finding(contrast="ICC", p=np.nan, p_adjusted=np.nan, sentence="ICC."),
    ]
    found = texts(
        studies.results([studies.row()], findings=pd.DataFrame(rows, columns=list(FINDINGS)))
    )
    assert lacks in found
    assert not any("further comparison" in text for text in found)  # nothing else was tested


def fitted(model="two_tissue", parameters=("K1", "VT")):
    blank = np.zeros((1, 2))
    return FittedCurves(
        subject="01", session="24h", model=model, regions=("cortex",), parameters=parameters,
        time=np.array([0.0, 1.0]), values=blank, predicted=blank, input_time=np.zeros(0),
        input_values=np.zeros(0), aicc=np.zeros(1), unit="Bq/mL", quantity="concentration",
    )  # fmt: skip


def test_a_model_says_its_macro_parameter_in_tissue_and_not_in_blood():
    rows = [
        studies.row(region=region, metric=f"two_tissue_{name}", unit=unit, value=value)
        for region in ("aorta", "cortex")
        for name, unit, value in (("K1", "mL/cm3/min", 0.35), ("VT", "mL/cm3", 3.1))
    ]
    study = {"region": [{"name": "aorta", "kind": "blood"}]}
    found = texts(studies.results(rows, fits=(fitted(),), study=study), "Q2")
    assert found == ["At 24 h, VT (two-tissue) is 3.1 mL/cm3 (2.9 to 3.3) in cortex."]


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        (("cortex", "tumour"), "At 24 h, VT (two-tissue) is 3.1 mL/cm3 (2.9 to 3.3) in cortex."),
        (("tumour",), "At 24 h, VT (two-tissue) is not determined by the data in tumour."),
    ],
)
def test_a_parameter_that_the_data_leave_open_is_no_headline(regions, said):
    rows = [
        studies.row(region=region, metric="two_tissue_VT", unit="mL/cm3", value=value, flags=flags)
        for region, value, flags in (("cortex", 3.1, ""), ("tumour", 874.0, "poorly_identified"))
        if region in regions
    ]
    assert texts(studies.results(rows, fits=(fitted(),)), "Q2") == [said]


@pytest.mark.parametrize("flags", ["", "poorly_identified"])
def test_a_headline_says_how_many_regions_it_leaves_out(flags):
    rows = [
        studies.row(region=f"r{n}", metric="two_tissue_VT", unit="mL/cm3", value=3.0, flags=flags)
        for n in range(5)
    ]
    (said,) = texts(studies.results(rows, fits=(fitted(),)), "Q2")
    assert "r2" in said
    assert "r3" not in said
    assert said.endswith(" (2 regions more below).")


def test_an_initial_area_is_said_in_a_readable_unit():
    rows = [
        studies.row(region="tumour", metric="iauc_60", unit="mol.s/mL", value=value, sd=2e-7)
        for value in (2.3e-5,)
    ]
    found = texts(studies.results(rows), "Q2")
    assert found == ["At 24 h, IAUC60 is 23.0 mmol·s/L (22.6 to 23.4) in tumour."]
