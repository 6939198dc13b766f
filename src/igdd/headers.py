"""DICOM header values read safely: numbers, texts and clock times, or an error that names the tag.

Headers come from many scanners and anonymisers: elements lack their private creator, hold bytes
where numbers should be, or are damaged. Nothing is guessed: an absent or empty element is None, a
malformed one is an InputError. Clocks are naive local times of the scanner.
"""

from __future__ import annotations

import logging
import math
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from igdd.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

log = logging.getLogger("igdd")

# What pydicom raises on damaged elements when they are converted.
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
_MOMENT = re.compile(
    r"(?P<date>\d{8})"
    r"(?:(?P<hour>\d{2})(?:(?P<minute>\d{2})(?:(?P<second>\d{2})(?:\.(?P<part>\d{1,6})\d*)?)?)?)?"
    r"(?P<offset>[+-]\d{4})?"
)


@lru_cache(maxsize=1)
def broken() -> tuple[type[Exception], ...]:
    """All that pydicom raises on damaged elements, its own errors included."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*BROKEN, BytesLengthException, InvalidDicomError)


@contextmanager
def quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Collect what the reading library warns about; its kind goes to the run log.

    A list that is not empty on leaving means the flag `header_warning`. What follows the colon of a
    warning is the element's content, maybe a name: it is not logged.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught
    for kind in dict.fromkeys(str(warning.message).split(":")[0] for warning in caught):
        log.info("on reading a header: %s", kind[:200])


# Elements of these kinds are ASCII texts in the file, the same in every transfer syntax.
PLAIN_TEXT = frozenset({"CS", "DA", "DS", "DT", "IS", "TM", "UI"})


@lru_cache(maxsize=256)
def tag_of(keyword: str) -> int:
    """Tag of a standard element, by its keyword."""
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword)
    if tag is None:
        raise InputError(f"{keyword!r} is not a keyword of the DICOM dictionary")
    return int(tag)


def label(keyword: str) -> str:
    """Keyword and tag, as errors and methods sentences name an element.

    >>> label("PatientWeight")
    'PatientWeight (0010,1030)'
    """
    tag = tag_of(keyword)
    return f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


@lru_cache(maxsize=512)
def _kind_of(tag: int) -> str:
    """Value representation of a standard element; empty for a private one."""
    from pydicom.datadict import dictionary_VR

    return "" if tag >> 16 & 1 else str(dictionary_VR(tag))


def number(header: Dataset, keyword: str) -> float | None:
    """A number, the first of several; None where absent or empty."""
    return _number(_value(header, tag_of(keyword), label(keyword)), label(keyword))


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """So many numbers; None where absent or empty."""
    value = _value(header, tag_of(keyword), label(keyword))
    if value is None:
        return None
    if isinstance(value, str):
        value = value.split("\\")
    elif isinstance(value, bytes) or not isinstance(value, Sequence):
        value = [value]
    found = [_number(part, label(keyword)) for part in value]
    complete = [part for part in found if part is not None]
    if len(found) != count or len(complete) != count:
        raise InputError(f"{label(keyword)} holds {len(complete)} numbers; expected {count}")
    return tuple(complete)


def text(header: Dataset, keyword: str) -> str | None:
    """A text without padding, the first of several; None where absent or empty."""
    value = _value(header, tag_of(keyword), label(keyword))
    return _text(value, label(keyword)) or None


def texts(header: Dataset, keyword: str) -> tuple[str, ...] | None:
    """Every text of a multi-valued element; None where absent or empty."""
    value = _value(header, tag_of(keyword), label(keyword))
    if value is None:
        return None
    if isinstance(value, bytes) or not isinstance(value, str | Sequence):
        value = [value]
    parts = value.split("\\") if isinstance(value, str) else value
    return tuple(_text(part, label(keyword)) for part in parts)


def item(header: Dataset, keyword: str) -> Dataset | None:
    """The one item of a sequence; None where absent or empty."""
    from pydicom import Dataset
    from pydicom.sequence import Sequence as ItemSequence

    value = _value(header, tag_of(keyword), label(keyword))
    if value is None:
        return None
    if not isinstance(value, ItemSequence) or not isinstance(value[0], Dataset):
        raise InputError(f"{label(keyword)} is not a sequence; the header is damaged")
    if len(value) > 1:
        raise InputError(f"{label(keyword)} holds {len(value)} items; expected one")
    return value[0]


def moment(header: Dataset, keyword: str, offset: timedelta | None = None) -> datetime | None:
    """Date and time of an element of type DT; `offset` is the scanner's from UTC, if known."""
    return _moment(_value(header, tag_of(keyword), label(keyword)), label(keyword), offset)


def clock(header: Dataset, date_keyword: str, time_keyword: str) -> datetime | None:
    """Date and time from two elements; None where either is absent."""
    where = f"{label(date_keyword)} and {label(time_keyword)}"
    return joined(text(header, date_keyword), text(header, time_keyword), where)


def joined(date: str | None, time: str | None, where: str) -> datetime | None:
    """Date and time from two texts; None where either is absent.

    >>> joined("20260501", "123000.5", "example").isoformat()
    '2026-05-01T12:30:00.500000'
    """
    if date is None or time is None:
        return None
    return _moment(date.replace(".", "") + time.replace(":", ""), where, None)


def time_zone(header: Dataset) -> timedelta | None:
    """Offset from UTC by (0008,0201); None where it is not said."""
    stated = text(header, "TimezoneOffsetFromUTC")
    if stated is None:
        return None
    if not re.fullmatch(r"[+-]\d{4}", stated):
        raise InputError(f"{label('TimezoneOffsetFromUTC')} is {stated[:20]!r}; expected +hhmm")
    return _offset(stated)


def private_number(header: Dataset, group: int, element: int, creator: str) -> float | None:
    """A private number, with or without its creator; None where absent or not that vendor's."""
    value, where = _private(header, group, element, creator)
    return _number(value, where)


def private_moment(header: Dataset, group: int, element: int, creator: str) -> datetime | None:
    """A private date and time, with or without its creator; None where absent."""
    value, where = _private(header, group, element, creator)
    return _moment(value, where, None)


def _private(header: Dataset, group: int, element: int, creator: str) -> tuple[Any, str]:
    """Value and label; anonymisers drop the creator, then the block is the usual first one."""
    where = f"({group:04X},{element | 0x1000:04X})"
    owners = {}
    for block in range(0x10, 0x20):
        owners[block] = _text(_value(header, group << 16 | block, where), where).upper()
        if creator in owners[block]:
            place = f"({group:04X},{block << 8 | element:04X})"
            return _value(header, group << 16 | block << 8 | element, place), place
    if owners[0x10]:
        return None, where
    return _value(header, group << 16 | 0x1000 | element, where), where


def _value(header: Dataset, tag: int, where: str) -> Any:
    """The value of an element; None where it is absent or empty.

    Plain texts are taken as they stand in the file: pydicom's conversion is slow and changes them.
    """
    try:
        element = header.get_item(tag)
        value = None if element is None else element.value
        kind = "" if element is None else element.VR or _kind_of(tag)
        if isinstance(value, bytes) and kind in PLAIN_TEXT:
            return value.decode("ascii").strip(" \0") or None
        if element is not None and not isinstance(element, _data_element()):
            value = header[tag].value
        empty = value is None or (hasattr(value, "__len__") and len(value) == 0)
    except KeyError:  # absent
        return None
    except broken() as error:
        raise InputError(
            f"{where} cannot be read ({type(error).__name__}); the header is damaged"
        ) from error
    return None if empty else value


@lru_cache(maxsize=1)
def _data_element() -> type:
    from pydicom import DataElement

    return DataElement


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str | bytes) and isinstance(value, Sequence):
        return _text(value[0], where) if len(value) else ""
    if hasattr(value, "get_item"):  # an item of a sequence
        raise InputError(f"{where} is a sequence; expected a text; the header is damaged")
    if isinstance(value, bytes):
        try:
            value = value.decode("ascii")
        except UnicodeDecodeError as error:
            raise InputError(f"{where} is not text; the header is damaged") from error
    return str(value).split("\\")[0].strip(" \0\t\r\n")


def _number(value: Any, where: str) -> float | None:
    if not isinstance(value, str | bytes) and isinstance(value, Sequence):
        value = value[0] if len(value) else None
    if value is None:
        return None
    found = _binary(value) if isinstance(value, bytes) else None
    if found is None:
        stated = _text(value, where)
        if not stated:
            return None
        try:
            found = float(stated)
        except ValueError as error:
            raise InputError(f"{where} is {stated[:40]!r}; expected a number") from error
    if not math.isfinite(found):
        raise InputError(f"{where} is {found}; expected a finite number")
    return found


def _binary(value: bytes) -> float | None:
    """A little-endian float or double, where the bytes are not a decimal string."""
    if re.fullmatch(rb"[0-9eE+\-. \0\\]*", value) or len(value) not in (4, 8):
        return None
    return float(struct.unpack("<f" if len(value) == 4 else "<d", value)[0])


def _moment(value: Any, where: str, offset: timedelta | None) -> datetime | None:
    stated = _text(value, where)
    if not stated:
        return None
    match = _MOMENT.fullmatch(stated)
    try:
        if match is None:
            raise ValueError
        found = datetime.strptime(match["date"], "%Y%m%d") + timedelta(
            hours=_part(match["hour"], 24),
            minutes=_part(match["minute"], 60),
            seconds=_part(match["second"], 61),  # 60 is a leap second
            microseconds=int((match["part"] or "0").ljust(6, "0")),
        )
        # Without the scanner's own offset, the stated one is taken to be the scanner's.
        if match["offset"] and offset is not None:
            found += offset - _offset(match["offset"])
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{where} is {stated[:40]!r}; expected a date and time like 20260501123000"
        ) from error
    return found


def _part(digits: str | None, end: int) -> int:
    found = int(digits or 0)
    if found >= end:
        raise ValueError
    return found


def _offset(stated: str) -> timedelta:
    size = timedelta(hours=int(stated[1:3]), minutes=int(stated[3:5]))
    return size if stated[0] == "+" else -size
