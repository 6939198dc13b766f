"""DICOM header values: what is there as it is, what is absent as None, damage as an error."""

from __future__ import annotations

import struct
import warnings
from datetime import datetime, timedelta

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from igdd import headers
from igdd.errors import InputError


def raw(tag: int, kind: str, value: bytes) -> Dataset:
    """A header with one element as it stands in a file."""
    header = Dataset()
    header[tag] = RawDataElement(Tag(tag), kind, len(value), value, 0, False, True)
    return header


def test_absent_and_empty_are_none():
    header = Dataset()
    header.PatientWeight = None
    header.Units = ""
    for keyword in ("PatientWeight", "PatientSize"):
        assert headers.number(header, keyword) is None
    assert headers.text(header, "Units") is None
    assert headers.texts(header, "CorrectedImage") is None
    assert headers.clock(header, "SeriesDate", "SeriesTime") is None
    assert headers.item(header, "RadiopharmaceuticalInformationSequence") is None


@pytest.mark.parametrize("kind", ["DS", None])
def test_decimal_strings_are_read_from_the_file(kind):
    header = raw(0x00200032, kind, b"-1.5\\2.25\\ 3e2 ")
    assert headers.numbers(header, "ImagePositionPatient", 3) == (-1.5, 2.25, 300.0)
    assert headers.number(raw(0x00101030, kind, b"70.5 "), "PatientWeight") == 70.5


def test_binary_numbers_are_not_taken_for_text():
    header = raw(0x00280010, "US", b"00")  # 0x3030, which also spells two digits
    assert headers.number(header, "Rows") == 0x3030


@pytest.mark.parametrize("value", [b"7x", b"nan ", b"inf ", b"\xff\xfe"])
def test_what_is_no_number_names_its_tag(value):
    with pytest.raises(InputError, match=r"PatientWeight \(0010,1030\)"):
        headers.number(raw(0x00101030, "DS", value), "PatientWeight")


def test_a_wrong_count_of_numbers_names_its_tag():
    with pytest.raises(InputError, match=r"holds 2 numbers; expected 3"):
        headers.numbers(raw(0x00200032, "DS", b"1\\2 "), "ImagePositionPatient", 3)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("20260501123000.25", datetime(2026, 5, 1, 12, 30, 0, 250000)),
        ("202605011230", datetime(2026, 5, 1, 12, 30)),
        ("20260501", datetime(2026, 5, 1)),
        ("20260501123000+0200", datetime(2026, 5, 1, 13, 30)),  # the scanner is at +0300
    ],
)
def test_moments_are_on_the_scanners_clock(stated, expected):
    header = raw(0x00181078, "DT", stated.encode().ljust(26))
    keyword = "RadiopharmaceuticalStartDateTime"
    assert headers.moment(header, keyword, timedelta(hours=3)) == expected


@pytest.mark.parametrize(("date", "time"), [("20260230", "10"), ("20260501", "25"), ("x", "10")])
def test_impossible_clocks_are_refused(date, time):
    with pytest.raises(InputError, match="expected a date and time"):
        headers.joined(date, time, "test")


def test_clocks_of_old_objects_are_read():
    assert headers.joined("2026.05.01", "12:30:00", "") == datetime(2026, 5, 1, 12, 30)


@pytest.mark.parametrize(("kind", "packed"), [("<f", 0.5), ("<d", 0.5)])
def test_private_numbers_may_be_binary_under_an_unknown_kind(kind, packed):
    header = raw(0x70531000, "UN", struct.pack(kind, packed))
    assert headers.private_number(header, 0x7053, 0x00, "PHILIPS") == packed


def test_a_sequence_where_text_is_due_is_refused():
    header = Dataset()
    inner = Dataset()
    inner.PatientID = "x"
    header.add_new(0x00541001, "SQ", [inner])
    with pytest.raises(InputError, match=r"Units \(0054,1001\)"):
        headers.text(header, "Units")


def test_two_items_where_one_is_due_are_refused():
    header = Dataset()
    header.RadiopharmaceuticalInformationSequence = [Dataset(), Dataset()]
    with pytest.raises(InputError, match="holds 2 items; expected one"):
        headers.item(header, "RadiopharmaceuticalInformationSequence")


def test_warnings_are_collected_and_contents_not_logged(caplog):
    with caplog.at_level("INFO", logger="igdd"), headers.quiet() as caught:
        warnings.warn("Invalid value for VR PN: 'Doe^Jane'", stacklevel=1)
    assert len(caught) == 1
    assert "Invalid value for VR PN" in caplog.text
    assert "Doe" not in caplog.text
