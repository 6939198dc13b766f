"""Figures: the numbers in a chart are the numbers of the table."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import report_studies as studies
from igdd.report import balance, figures, over_time
from igdd.report.chart import records
from igdd.report.overview import overview
from igdd.results import FINDINGS


@pytest.fixture(scope="module")
def view():
    return overview(studies.trial())


def values_of(spec):
    """Every inline row of a specification, layer by layer."""
    if isinstance(spec, dict):
        here = spec.get("data", {}).get("values", []) if isinstance(spec.get("data"), dict) else []
        return [*here, *(row for part in spec.values() for row in values_of(part))]
    if isinstance(spec, list):
        return [row for part in spec for row in values_of(part)]
    return []


def test_unknown_numbers_become_null_and_six_digits_stay():
    table = pd.DataFrame({"a": [np.nan, np.inf, 1.23456789], "b": ["x", "y", "z"], "n": [1, 2, 3]})
    assert records(table) == [
        {"a": None, "b": "x", "n": 1},
        {"a": None, "b": "y", "n": 2},
        {"a": 1.23457, "b": "z", "n": 3},
    ]


def test_bars_are_the_arm_means_in_the_printed_unit(view):
    chart = figures.biodistribution(view, "percent_id_per_g")
    bars = [row for row in values_of(chart.spec) if row.get("subjects")]
    rows = view.rows
    liver = rows[
        (rows["metric"] == "percent_id_per_g")
        & (rows["session"] == "24h")
        & (rows["region"] == "liver")
        & (rows["arm"] == "plain")
    ]
    shown = next(r for r in bars if (r["region"], r["group"]) == ("liver", "plain"))
    # Six digits are kept in a chart.
    assert_allclose(shown["value"], liver["value"].mean() * 1000, rtol=1e-5)
    assert "%ID/kg" in json.dumps(chart.spec)


def test_the_waterfall_holds_each_lesion_once_and_falls(view):
    chart = figures.waterfall(view)
    bars = values_of(chart.spec)[: len({row["lesion"] for row in values_of(chart.spec)})]
    heights = [row["value"] for row in bars]
    assert heights == sorted(heights, reverse=True)
    rows = view.of("percent_id_per_g", session="24h")
    assert len(bars) == (rows["kind"] == "lesion").sum()


def test_the_correction_is_shown_against_volume(view):
    rows = [row for row in values_of(figures.partial_volume(view).spec) if "ratio" in row]
    lesions = [row for row in rows if row["kind"] == "lesion"]
    volume = np.array([row["across"] for row in lesions])
    expected = 1 + 1.2 / volume ** (1 / 3)  # what the made-up trial applied
    assert_allclose([row["ratio"] for row in lesions], expected, rtol=1e-4)


def test_without_twins_there_is_no_correction_to_show():
    assert figures.partial_volume(overview(studies.many_lesions())) is None


def test_the_stacked_parts_add_up_to_the_mean_total(view):
    rows = values_of(balance.mass_balance(view).spec)
    for group in view.groups:
        for session in view.sessions:
            here = [r for r in rows if r.get("panel") == group and r.get("session") == session]
            parts = [r for r in here if r["what"] == "part" and r["region"] != "unaccounted"]
            total = next(r["value"] for r in here if r["what"] == "total")
            # Six digits are kept of each of at most ten parts.
            assert_allclose(sum(r["value"] for r in parts), total, rtol=1e-5)


def test_a_subject_without_a_second_lesion_counts_as_nothing_there():
    common = {"metric": "ledger_percent_id", "arm": "a"}
    rows = [studies.row(**common, subject=f"{n}", region="liver", value=10.0) for n in range(6)] + [
        studies.row(**common, subject="0", region="bowel", value=6.0)
    ]
    shown = values_of(balance.mass_balance(overview(studies.results(rows))).spec)
    assert next(r["value"] for r in shown if r.get("region") == "bowel") == 1.0


def test_ratios_are_drawn_on_a_logarithmic_scale_that_holds_one():
    findings = pd.DataFrame(
        [studies.finding(region=n, estimate=2.0, low=1.5, high=3.0) for n in ("a", "b")],
        columns=list(FINDINGS),
    )
    view = overview(studies.results([studies.row()], findings=findings))
    charts = [balance.forest(view, question) for question in ("Q1", "Q7")]
    (chart,) = [chart for chart in charts if chart]
    text = json.dumps(chart.spec)
    assert '"type": "log"' in text
    (domain,) = {
        tuple(layer["encoding"]["x"]["scale"]["domain"])
        for layer in chart.spec["layer"]
        if "scale" in layer["encoding"].get("x", {})
    }
    assert domain[0] < 1 < domain[1]


def test_only_tested_comparisons_stand_in_the_forest():
    rows = [studies.finding(region=n) for n in ("a", "b")]
    rows.append(studies.finding(region="c", contrast="ICC", p=np.nan))
    findings = pd.DataFrame(rows, columns=list(FINDINGS))
    view = overview(studies.results([studies.row()], findings=findings))
    (chart,) = filter(None, (balance.forest(view, question) for question in ("Q1", "Q7")))
    labels = {row["label"] for row in values_of(chart.spec) if "label" in row}
    assert labels == {"a", "b"}


@pytest.mark.parametrize("study", studies.SMALL, ids=lambda study: study.__name__)
def test_every_chart_is_json_and_small(study):
    view = overview(study())
    charts = [
        *(figures.biodistribution(view, metric) for metric in (view.level, "percent_id") if metric),
        over_time.time_activity(view),
        figures.waterfall(view),
        figures.partial_volume(view),
        balance.mass_balance(view),
    ]
    for chart in filter(None, charts):
        assert len(json.dumps(chart.spec, allow_nan=False)) < 300_000
