"""Heterogeneity in the report: coverage and depth of every lesion, from the tidy table."""

from __future__ import annotations

import json

import pytest

from igdd.report import heterogeneity, write_report
from igdd.report.overview import overview
from report_studies import results, row


def study():
    rows = [
        row(subject=subject, region="lesion_1", metric=f"coverage_at_{percent}_percent", unit="1",
            value=1 - percent / 250)
        for subject in ("01", "02") for percent in (25, 100, 200)
    ]  # fmt: skip
    rows += [
        row(subject="01", region="lesion_1", metric=f"rim_shell_{shell}", unit="Bq/mL",
            value=1000.0 * shell)
        for shell in (1, 2, 3)
    ]  # fmt: skip
    return results(rows)


def test_coverage_is_a_line_in_per_cent_for_each_lesion():
    chart = heterogeneity.blocks(overview(study()))[0]
    values = chart.spec["data"]["values"]
    assert len(values) == 6
    first = next(one for one in values if one["across"] == 100 and one["lesion"].startswith("01"))
    assert first["value"] == pytest.approx(60.0)


def test_a_profile_is_over_the_lesions_own_mean():
    chart = heterogeneity.blocks(overview(study()))[1]
    assert [one["value"] for one in chart.spec["data"]["values"]] == pytest.approx([0.5, 1.0, 1.5])


def test_without_such_rows_there_is_no_chart():
    assert heterogeneity.blocks(overview(results([row()]))) == ()


def test_the_page_holds_both(tmp_path):
    page = write_report(study(), tmp_path)[0].read_text(encoding="utf-8")
    assert "Share of each lesion that is reached" in page
    assert "Depth profile of each lesion" in page
    json.dumps(heterogeneity.blocks(overview(study()))[0].spec, allow_nan=False)


def pair(subject, session="24h", **values):
    known = {"subject": subject, "region": "lesion_1", "session": session, "unit": "1",
             "method": "hot: median of the measured image, median of target"}  # fmt: skip
    return [row(metric=name, value=value, low=value / 2, high=value * 2, **known)
            for name, value in values.items()]  # fmt: skip


def test_each_lesion_is_held_against_the_other_image():
    rows = pair("02", target_volume_reached=0.4, pearson_with_target=0.2)
    rows += pair("01", target_volume_reached=0.25)
    (table,) = heterogeneity.blocks(overview(results(rows)))
    assert table.title == "Is it where target is?"
    assert [one[0] for one in table.rows] == ["01 · lesion_1", "02 · lesion_1"]
    assert table.rows[1][2] == "40 (20 to 80)"
    assert table.rows[0][3] == "–"
    assert "Hot: median of the measured image" in table.note


def test_very_many_lesions_are_cut_and_counted():
    rows = [one for n in range(heterogeneity.MOST_LESIONS + 3)
            for one in pair(f"{n:03d}", target_volume_reached=0.4)]  # fmt: skip
    (table,) = heterogeneity.blocks(overview(results(rows)))
    assert len(table.rows) == heterogeneity.MOST_LESIONS
    assert "3 rows more" in table.note


def test_lines_beyond_forty_lesions_are_counted():
    rows = [
        row(subject=f"{n:03d}", region="lesion_1", metric=f"coverage_at_{percent}_percent",
            unit="1", value=0.5)
        for n in range(45) for percent in (25, 100)
    ]  # fmt: skip
    chart = heterogeneity.blocks(overview(results(rows)))[0]
    assert chart.caption.endswith("The first 40 of 45 lesions.")
