"""Methods: the paragraph states the rules behind what was measured, and nothing else."""

from __future__ import annotations

import pandas as pd

import report_studies as studies
from igdd.report.methods import ADJUSTED, COMPUTED, paragraph
from igdd.results import FINDINGS


def test_rules_of_what_was_measured_are_stated():
    rows = [studies.row(metric="percent_id"), studies.row(metric="suvbw")]
    text = paragraph(studies.results(rows, methods=("Imaged",)), "1.2")
    assert text.startswith("Imaged. ")
    assert COMPUTED["percent_id"] in text
    assert COMPUTED["suv"] in text
    assert COMPUTED["ledger_percent_id"] not in text
    assert ADJUSTED not in text
    assert text.endswith("Computed with igdd 1.2.")


def test_a_comparison_brings_its_method():
    findings = pd.DataFrame([studies.finding(method="Welch's t")], columns=list(FINDINGS))
    text = paragraph(studies.results([studies.row()], findings=findings), "1")
    assert f"Comparisons: Welch's t. {ADJUSTED}" in text


def test_nothing_measured_is_nothing_said():
    assert paragraph(studies.empty(), "1") == ""
