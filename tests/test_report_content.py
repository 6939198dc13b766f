"""Content: what stands in the report, whatever the study."""

from __future__ import annotations

import pandas as pd
import pytest

import report_studies as studies
from igdd.flags import FLAGS
from igdd.report.chart import Chart
from igdd.report.content import Text, content
from igdd.report.listings import Table
from igdd.report.pictures import Picture
from igdd.results import FINDINGS


@pytest.fixture(scope="module")
def report():
    return content(studies.trial())


def blocks(report, kind):
    return [block for section in report.sections for block in section.blocks if type(block) is kind]


def table(report, title):
    return next(block for block in blocks(report, Table) if block.title == title)


def test_the_trial_shows_every_figure_of_the_line(report):
    names = {block.name for block in blocks(report, Chart)}
    assert {
        "biodistribution-percent_id_per_g", "biodistribution-percent_id", "time-activity",
        "waterfall", "mass-balance", "partial-volume",
    } <= names  # fmt: skip
    assert {block.name for block in blocks(report, Picture)} == {"projections", "slices"}


def test_sections_follow_the_questions(report):
    names = [section.name for section in report.sections]
    questions = [name for name in names if name.startswith("q")]
    assert questions == sorted(questions)
    assert names[-3:] == ["methods", "cautions", "provenance"]
    assert [section.folded for section in report.sections][-1]


def test_every_method_stands_once_as_a_sentence(report):
    (methods,) = next(s for s in report.sections if s.name == "methods").blocks
    assert isinstance(methods, Text)
    assert methods.text.count("geometric transfer matrix") == 1
    assert "ICRP-107). Region" in methods.text


def test_flags_are_explained_and_counted(report):
    results = studies.trial()
    flags = {row[0]: row for row in table(report, "Flags").rows}
    carried = results.measurements["flags"].str.contains("small_region").sum()
    assert flags["small_region"][1:3] == (FLAGS["small_region"], str(carried))
    assert flags["estimate_not_positive"][2:] == ("0", "1")


def test_exclusions_stand_with_their_reason(report):
    assert ("03", "72h", "lesion_2", "motion") in table(report, "Exclusions").rows
    assert ("05", "4h", "all", "extravasation at arm") in table(report, "Exclusions").rows


def test_warnings_and_provenance_stand_in_the_report(report):
    assert "Manufacturer is missing" in table(report, "Warnings").rows[0][0]
    made = dict(table(report, "What this report was made from").rows)
    assert made["seed"] == "1"
    assert made["sub-01/ses-24h/pet/sub-01_pet.nii.gz"] == f"{1:064x}"


def test_the_numbers_table_holds_the_mean_and_its_interval(report):
    rows = table(report, "Uptake per mass (%ID/kg)").rows
    assert [row[3:] for row in rows if row[:2] == ("spleen", "plain")] == [
        ("19.7 (16.7 to 22.8)", "39.5 (34.3 to 44.7)", "44.4 (37.6 to 51.2)")
    ]


def test_a_long_table_is_cut_and_says_so():
    note = table(content(studies.many_regions()), "SUV (body weight) (g/mL)").note
    assert "240 rows more are in measurements.csv" in note


def test_rows_without_a_value_are_counted():
    texts = [block.text for block in blocks(content(studies.all_unknown()), Text)]
    assert any(text.startswith("2 measurements without a value") for text in texts)


def test_the_summary_counts_subjects_arms_and_lesions(report):
    lesions = studies.trial().measurements
    lesions = lesions[lesions["region"].str.startswith("lesion")]
    count = len(lesions.drop_duplicates(["subject", "region"]))
    assert "12 subjects (6 plain, 6 targeted), 3 sessions (4 h, 24 h, 72 h)" in report.summary
    assert f"{count} lesions" in report.summary


def test_a_study_without_a_title_has_one():
    assert content(studies.empty()).title == "Delivery report"


def test_a_comparison_that_could_not_be_made_is_listed_without_numbers():
    gaps = dict.fromkeys(("estimate", "low", "high", "p", "p_adjusted", "n", "flags", "unit"))
    findings = pd.DataFrame([studies.finding(**gaps)], columns=list(FINDINGS))
    report = content(studies.results([studies.row()], findings=findings))
    (row,) = table(report, "Comparisons of uptake per mass").rows
    assert row == ("lesion", "24 h", "targeted / plain", "not known", "–", "–", "–", "")
