"""Over time: which sessions are one line, and what a plot shows."""

from __future__ import annotations

import pytest

import report_studies as studies
from igdd.report import over_time
from igdd.report.overview import overview


@pytest.fixture(scope="module")
def view():
    return overview(studies.trial())


def values_of(spec):
    """Every row of data in a specification."""
    return spec["data"]["values"]


def test_curves_show_at_most_twelve_regions_blood_and_lesions_among_them(view):
    chart = over_time.time_activity(view)
    regions = {row["region"] for row in values_of(chart.spec)}
    assert len(regions) == over_time.MOST_CURVES
    assert {"blood", "lesions (subject mean)"} <= regions
    assert "12 of 15 regions" in chart.caption


def test_one_time_point_is_no_curve():
    assert over_time.time_activity(overview(studies.many_lesions())) is None


def scans(sessions, given=()):
    """Curves of one region: session -> times in s; `given` names those with an own injection."""
    rows = [
        studies.row(session=session, metric="suvbw", unit="g/mL", time=time, value=1 + time / 1e4)
        for session, times in sessions.items()
        for time in times
    ]
    entries = [{"activity": "1 MBq", "session": session} for session in given]
    return overview(studies.results(rows, study={"subject": [{"id": "01", "given": entries}]}))


def courses_of(view):
    return over_time.administrations(view, view.of("suvbw"))


def test_sessions_after_one_administration_are_one_line():
    view = scans({"dyn": (60.0, 600.0, 3600.0), "24h": (86400.0,), "72h": (259200.0,)})
    assert set(courses_of(view).values()) == {"dyn, 24 h, 72 h"}


def test_baseline_and_drug_of_the_same_minutes_are_a_line_each():
    view = scans({"base": (60.0, 600.0, 3600.0), "drug": (61.0, 601.0, 3601.0)})
    assert courses_of(view) == {"base": "base", "drug": "drug"}
    chart = over_time.time_activity(view)
    lines = {(one["course"], one["what"]) for one in values_of(chart.spec)}
    assert lines == {(c, w) for c in ("base", "drug") for w in ("subject", "mean")}
    dashes = chart.spec["spec"]["layer"][0]["encoding"]["strokeDash"]
    assert dashes["scale"]["domain"] == ["base", "drug"]
    assert dashes["legend"] is not None


def test_an_administration_of_its_own_is_a_line_of_its_own_whatever_the_time():
    view = scans({"base": (60.0, 600.0), "drug": (7200.0, 9000.0)}, given=("base", "drug"))
    assert courses_of(view) == {"base": "base", "drug": "drug"}
    joined = scans({"base": (60.0, 600.0), "later": (7200.0, 9000.0)})
    assert set(courses_of(joined).values()) == {"base, later"}


def test_a_single_course_has_no_legend_of_dashes(view):
    layer = over_time.time_activity(view).spec["spec"]["layer"][0]
    assert layer["encoding"]["strokeDash"]["legend"] is None


def test_dots_that_would_hide_the_dashes_are_left_out():
    dense = tuple(10.0 * frame for frame in range(1, over_time.MOST_DOTS + 2))
    shown = values_of(over_time.time_activity(scans({"a": dense, "b": dense})).spec)
    assert {one["dots"] for one in shown} == {False}
    alone = values_of(over_time.time_activity(scans({"a": dense})).spec)
    assert {one["dots"] for one in alone} == {True}
