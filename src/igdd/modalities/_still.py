"""Frames of a still of anatomy (CT, MR), whose numbers do not depend on when it was taken."""

from __future__ import annotations

import numpy as np

from igdd.errors import InputError
from igdd.facts import Declared, Subject
from igdd.headers import clock, number
from igdd.types import Frames, Series, Zero

# Length in s of a still whose length nobody states: no number depends on it.
MOMENT = 1.0


def still_frames(series: Series, subject: Subject, declared: Declared) -> Frames:
    """One frame from the first acquisition to the last, after administration where it is known."""
    if series.values.shape[3] != 1:
        raise InputError(
            f"{series.source}: {series.values.shape[3]} frames; expected one volume of anatomy; "
            "choose another series"
        )
    taken = [clock(header, "AcquisitionDate", "AcquisitionTime") for header in series.headers]
    known = [one for one in taken if one is not None]
    exposure = number(series.headers[0], "ExposureTime") if series.headers else None
    length = (exposure or 0.0) / 1000
    if known:
        length += (max(known) - min(known)).total_seconds()
    start = declared.start
    if start is None and known:
        start = min(known)
    given = subject.given[0].at if subject.given else None
    zero, offset = Zero(kind="scan_start", clock=start), 0.0
    if given is not None and start is not None:
        zero = Zero(kind="administration", clock=given)
        offset = (start - given).total_seconds()
    if declared.duration is not None:
        length = declared.duration
    return Frames(start=np.array([offset]), duration=np.array([length or MOMENT]), zero=zero)
