"""Lesions side by side: which are drawn, what is said of those that are not, and that all draw."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from igdd.report import write_report
from igdd.report.lesion_plots import ROW
from igdd.report.lesions import A_PICTURE, MOST, lesion_pictures
from igdd.report.overview import overview
from igdd.report.pictures import PIXELS_PER_INCH
from igdd.results import Panel
from report_studies import HOSTILE, results, row


def rows_of(subject, region, session="24h", coverage=0.5, **more):
    known = {"subject": subject, "region": region, "session": session, **more}
    made = [row(metric="cv", unit="1", value=0.3, low=0.2, high=0.4, **known)]
    made += [row(metric="coverage", unit="1", value=coverage, method="at 2 %/mL; plain", **known)]
    made += [
        row(metric=f"coverage_at_{percent}_percent{twin}", unit="1", value=1 - percent / 250,
            **known)
        for percent in (25, 50, 100, 200) for twin in ("", "_uncorrected")
    ]  # fmt: skip
    made += [
        row(metric=f"rim_shell_{shell}", unit="Bq/mL", value=1000.0 * shell, **known,
            method=f"distance from the rim, {shell * 1.5:.3g} mm from the rim; as imaged")
        for shell in (1, 2, 3)
    ]  # fmt: skip
    return made


def panels_of(subject, region, session="24h", bare=True):
    random = np.random.default_rng(2)
    mask = np.zeros((12, 10), dtype=bool)
    mask[0:8, 2:10] = True
    common = {
        "subject": subject, "session": session, "title": region, "quantity": "SUV", "unit": "g/mL",
        "kinds": {region: "lesion"},
    }  # fmt: skip
    shares = np.full((2, 8), 1 / 8, dtype=np.float32)
    shares[1] = shares[1] if bare else np.nan
    return (
        Panel(kind="lesion", pixels=random.random((12, 10)).astype(np.float32), spacing=(2.0, 2.0),
              outlines={region: mask}, **common),
        Panel(kind="histogram", spacing=(1.0, 1.0), **common,
              pixels=np.vstack([np.linspace(1, 2, 8, dtype=np.float32), shares])),
    )  # fmt: skip


def study(count, sessions=("24h",), **known):
    rows, panels = [], ()
    for number in range(count):
        for session in sessions:
            rows += rows_of(f"{number:02d}", "lesion_1", session, coverage=1 - number / 100)
            panels += panels_of(f"{number:02d}", "lesion_1", session, **known)
    return results(rows, panels=panels)


def heights(pictures):
    return [
        round((struct.unpack(">I", one.png[20:24])[0] / PIXELS_PER_INCH - 0.2) / ROW)
        for one in pictures
    ]


def test_few_lesions_are_all_drawn_in_all_sessions():
    found = lesion_pictures(overview(study(2, ("4h", "24h"))))
    assert heights(found) == [4]
    assert " of " not in found[0].caption.rpartition("intervals.")[2]


def test_of_many_lesions_the_least_covered_are_drawn_and_the_rest_is_said():
    found = lesion_pictures(overview(study(30)))
    assert heights(found) == [A_PICTURE, A_PICTURE]
    assert f"{MOST} of 30 lesions at 24 h: the least covered." in found[0].caption
    assert found[1].title.endswith("(continued)")


def test_with_many_sessions_the_headline_session_is_drawn():
    found = lesion_pictures(overview(study(8, ("4h", "24h"))))
    assert sum(heights(found)) == 8
    assert "8 of 16 lesions and sessions: those at 24 h." in found[0].caption


@pytest.mark.parametrize("bare", [True, False])
def test_the_caption_says_whether_noise_was_taken_out(bare):
    caption = lesion_pictures(overview(study(1, bare=bare)))[0].caption
    assert ("with the image's noise taken out" in caption) is bare
    assert ("noise included" in caption) is not bare


def test_only_what_was_measured_has_a_column():
    rows = [row(subject="01", region="lesion_1", metric="cv", unit="1", value=0.3)]
    found = lesion_pictures(overview(results(rows, panels=panels_of("01", "lesion_1"))))
    assert "Coverage" not in found[0].caption
    assert "Depth" not in found[0].caption


def test_without_panels_or_rows_there_is_none():
    assert lesion_pictures(overview(results([row()]))) == ()
    assert lesion_pictures(overview(results(rows_of("01", "lesion_1")))) == ()
    assert lesion_pictures(overview(results([row()], panels=panels_of("01", "lesion_1")))) == ()


def test_a_lesion_without_a_panel_keeps_its_curves():
    made = study(1)
    rows = [*made.measurements.to_dict("records"), *rows_of("99", "lesion_1")]
    found = lesion_pictures(overview(results(rows, panels=made.panels)))
    assert heights(found) == [2]


def test_flat_empty_and_broken_lesions_draw():
    picture, histogram = panels_of("01", "lesion_1")
    flat = Panel(
        kind="lesion", title="lesion_1", subject="01", session="24h", quantity="x", unit="1",
        pixels=np.full((1, 1), np.nan, dtype=np.float32), spacing=(2.0, 2.0),
        kinds={"lesion_1": "lesion"}, outlines={"lesion_1": np.ones((1, 1), dtype=bool)},
    )  # fmt: skip
    rows = [*rows_of("01", "lesion_1"), row(subject="01", region="lesion_1", metric="rim_shell_4",
                                          unit="Bq/mL", value=-1e9, low=np.nan)]  # fmt: skip
    assert lesion_pictures(overview(results(rows, panels=(flat, histogram))))
    assert lesion_pictures(overview(results(rows, panels=(picture,))))


def test_hostile_names_are_drawn_as_text(tmp_path):
    rows, panels = [], ()
    for name in HOSTILE:
        rows += rows_of(name, name)
        panels += panels_of(name, name)
    page = write_report(results(rows, panels=panels), tmp_path)[0]
    assert "Each lesion: map, histogram, coverage, depth" in page.read_text(encoding="utf-8")


def test_the_same_results_give_the_same_bytes():
    first, second = (lesion_pictures(overview(study(3)))[0].png for _ in range(2))
    assert first == second
