"""Methods: one account of many sessions says what holds for which."""

from __future__ import annotations

from igdd.stages.methods import together


def test_what_holds_for_all_is_said_once():
    found = together([(f"{n:02d} (1h)", ["Imaged.", "Sampled."]) for n in range(12)])
    assert found == ("Imaged. Sampled.",)


def test_what_holds_for_some_says_for_whom():
    sessions = [("01 (1h)", ["From DICOM."]), *((f"{n} (1h)", ["From NIfTI."]) for n in range(5))]
    assert together(sessions) == (
        "For subject 01 (1h): From DICOM.", "For 5 of 6 sessions: From NIfTI.",
    )  # fmt: skip


def test_changes_that_differ_between_scans_become_a_range():
    found = together([(f"{n} (1h)", [f"Others: {n:+.2f} %, +0.10 %."]) for n in (-1, 3, 2)])
    assert found == ("Others: -1.00 to +3.00 %, +0.10 %.",)
