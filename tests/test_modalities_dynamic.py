"""When the frames of a dynamic series were taken, and how its echo was made, by BIDS or DICOM."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pydicom import Dataset

from igdd.errors import InputError
from igdd.modalities._dynamic import frame_times
from igdd.modalities._spoiled_echo import baseline_frames, echo
from igdd.types import Frames, Zero


def headers(**each):
    """Two slices of each of three frames, with what each frame's headers hold."""
    made = []
    for frame in range(3):
        for _ in range(2):
            one = Dataset()
            for keyword, values in each.items():
                setattr(one, keyword, values[frame] if isinstance(values, list) else values)
            made.append(one)
    return tuple(made)


@pytest.mark.parametrize(
    ("sidecar", "start", "duration"),
    [
        (
            {"FrameTimesStart": [0.0, 4.0, 9.0], "FrameDuration": [4.0, 5.0, 6.0]},
            [0.0, 4.0, 9.0],
            [4.0, 5.0, 6.0],
        ),
        ({"VolumeTiming": [1.0, 4.0, 9.0]}, [1.0, 4.0, 9.0], [3.0, 5.0, 5.0]),
        (
            {"VolumeTiming": [0.0, 4.0, 90.0], "FrameAcquisitionDuration": 3.5},
            [0.0, 4.0, 90.0],
            [3.5] * 3,
        ),
        ({"RepetitionTimePreparation": 4.5}, [0.0, 4.5, 9.0], [4.5] * 3),
        ({"RepetitionTimePreparation": [4.0, 5.0, 6.0]}, [0.0, 4.0, 9.0], [4.0, 5.0, 6.0]),
    ],
)
def test_times_in_the_words_of_bids(sidecar, start, duration):
    begun, lasts = frame_times(sidecar, (), 3, "dce.nii")
    assert_allclose(begun, start)
    assert_allclose(lasts, duration)


@pytest.mark.parametrize(
    ("stated", "pace"),
    [
        ({"AcquisitionDate": "20200102",
          "AcquisitionTime": ["095959.5", "100003.75", "100008"]}, 4.25),
        ({"AcquisitionDate": "20200102", "AcquisitionTime": "095959.5",
          "TriggerTime": [100.0, 4350.0, 8600.0]}, 4.25),
        ({"AcquisitionDate": "20200102", "AcquisitionTime": "095959.5",
          "TemporalResolution": 4250.0}, 4.25),
    ],
)  # fmt: skip
def test_times_of_dicom_in_the_order_of_trust(stated, pace):
    begun, lasts = frame_times({}, headers(**stated), 3, "series")
    assert_allclose(begun, pace * np.arange(3))
    assert_allclose(lasts, pace)


def test_the_callers_interval_comes_first():
    begun, lasts = frame_times({"VolumeTiming": [0.0, 4.0, 9.0]}, (), 3, "dce.nii", 2.0)
    assert_allclose(begun, [0.0, 2.0, 4.0])
    assert_allclose(lasts, 2.0)


@pytest.mark.parametrize(
    ("sidecar", "headers_of", "interval", "message"),
    [
        ({}, (), None, "FrameTimesStart"),
        ({"RepetitionTime": 5.0}, (), None, "FrameTimesStart"),
        ({"VolumeTiming": [0.0, 4.0]}, (), None, "VolumeTiming"),
        ({"VolumeTiming": [0.0, 9.0, 4.0]}, (), None, "does not ascend"),
        ({"VolumeTiming": [0.0, 4.0, 9.0], "FrameAcquisitionDuration": "x"}, (), None, "Duration"),
        ({"RepetitionTimePreparation": float("nan")}, (), None, "Preparation"),
        ({}, headers(EchoTime=1.0), None, "neither AcquisitionTime nor TriggerTime"),
        ({}, (), 0.0, "more than 0"),
        ({}, (), float("inf"), "more than 0"),
    ],
)
def test_times_that_nobody_states_are_refused(sidecar, headers_of, interval, message):
    with pytest.raises(InputError, match=message):
        frame_times(sidecar, headers_of, 3, "dce.nii", interval)


@pytest.mark.parametrize(
    ("sidecar", "headers_of", "found"),
    [
        ({"RepetitionTime": 0.005, "FlipAngle": 15}, (), (0.005, 15.0)),
        (
            {"RepetitionTimeExcitation": 0.004, "RepetitionTime": 5.0, "FlipAngle": [15, 15]},
            (),
            (0.004, 15.0),
        ),
        ({}, headers(RepetitionTime=5.0, FlipAngle=12.0), (0.005, 12.0)),
    ],
)
def test_the_echo_in_the_words_of_bids_and_dicom(sidecar, headers_of, found):
    made = echo(sidecar, headers_of, "dce")
    assert (made.repetition, made.flip, made.flags) == (*found, ())


def test_a_baseline_in_seconds_counts_from_the_frames_own_zero():
    frames = Frames(
        start=np.arange(6) * 10.0 - 30.0,
        duration=np.full(6, 10.0),
        zero=Zero(kind="administration"),
    )
    assert baseline_frames("0 s", frames, "") == (0, 3)
    assert baseline_frames("0.1 min", frames, "") == (0, 3)
    instants = Frames(start=frames.start, duration=frames.duration, zero=frames.zero, sampled=True)
    # Of samples at instants the middle counts: the fourth is at 5 s.
    assert baseline_frames("5 s", instants, "") == (0, 4)
