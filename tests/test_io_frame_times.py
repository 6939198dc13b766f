"""Frames that files state: what overlaps, what is in another unit, and what may be as it is."""

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.io import frame_times

DURATION = np.repeat([5.0, 10.0, 60.0, 300.0, 600.0], [6, 6, 5, 4, 6])
START = np.cumsum(DURATION) - DURATION


@pytest.mark.parametrize(
    ("starts", "durations", "words"),
    [
        (1 / 60, 1.0, "the starts seem to be in min"),
        (1.0, 1000.0, "the durations seem to be in ms"),
        (1.0, 1 / 60, "the durations seem to be in min"),
        (1000.0, 1.0, "the starts seem to be in ms"),
    ],
)
def test_times_in_two_units_are_refused_and_the_likely_one_is_named(starts, durations, words):
    with pytest.raises(InputError, match=words):
        frame_times.check(starts * START, durations * DURATION, "scan.json")


def test_a_break_in_the_scan_hides_no_unit():
    late = START + np.where(START >= 800, 1800.0, 0.0)
    frame_times.check(late, DURATION, "scan.json")
    with pytest.raises(InputError, match="durations seem to be in min"):
        frame_times.check(late, DURATION / 60, "scan.json")


def test_an_overlap_names_file_frames_and_remedy():
    longer = DURATION + np.where(np.arange(DURATION.size) == 5, 20.0, 0.0)
    expected = (
        r"scan\.json: frame 6 starts at 25 s and lasts 25 s, but frame 7 starts at 30 s; expected "
        r"frames in order that do not overlap; mend the wrong time"
    )
    with pytest.raises(InputError, match=expected):
        frame_times.check(START, longer, "scan.json")


def test_ends_in_the_place_of_durations_are_named():
    with pytest.raises(InputError, match="seem to be the frames' ends"):
        frame_times.check(START, START + DURATION, "scan.json")


def test_frames_out_of_order_are_refused():
    with pytest.raises(InputError, match="expected frames in order"):
        frame_times.check(START[::-1], DURATION[::-1], "scan.json")


def test_overlap_by_rounding_is_none():
    frame_times.check(START, DURATION + 0.005, "scan.json")
    frame_times.check(START, np.round(DURATION * 1.0009, 3), "scan.json")
    frame_times.check(np.round(START + 0.04, 1), DURATION, "scan.json")


@pytest.mark.parametrize(
    ("start", "duration"),
    [
        ([0.0, 3600.0, 86400.0], [600.0, 600.0, 900.0]),  # scans days apart
        ([0.0, 86400.0, 172800.0, 259200.0], [1440.0] * 4),  # 24 min once a day: 60 times
        ([0.0, 14400.0, 28800.0], [240.0] * 3),  # 4 min every 4 h: 60 times
        ([0.0, 300.0], [5.0, 5.0]),  # one way says nothing
        ([-10.0, 5.0], [15.0, 5.0]),
        ([0.0], [60.0]),
    ],
)
def test_gaps_of_any_length_are_legal(start, duration):
    frame_times.check(np.array(start), np.array(duration), "scan.json")


def test_frames_in_a_row_are_legal_in_any_one_unit():
    for unit in (1.0, 1 / 60, 1000.0):
        frame_times.check(START * unit, DURATION * unit, "scan.json")


def test_starts_rounded_to_whole_seconds_are_taken():
    duration = np.array([30.4, 30.4, 30.4, 60.4, 60.4, 60.4])
    start = np.floor(np.concatenate([[0.0], np.cumsum(duration)[:-1]]))
    frame_times.check(start, duration, "scan.json")
    with pytest.raises(InputError, match=r"frame 1 .* do not overlap"):
        frame_times.check(start + 0.3 * (start > 0), duration + 1, "scan.json")
