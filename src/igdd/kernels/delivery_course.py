"""Figures of delivery over many time courses at once: what a tumour holds, in one window for all.

A course is a share of what was given (%ID) at times after administration; at time zero the tumour
holds nothing. Between samples it is a straight line. Nothing is carried beyond the last sample: a
course that ends before the window does is not evaluated (NaN), and neither is one whose window ends
before its first sample. Times within 5 % are one time, for nobody samples on the minute: a course
to 48 h serves a window to 48.4 h, over its own 48 h.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FIGURES = (
    "time_averaged_percent_id", "auc_percent_id", "percent_id_at", "max_percent_id",
    "max_percent_id_per_g",
)  # fmt: skip


SAME_TIME = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Courses:
    """Time courses side by side; NaN after each one's last sample.

    study                    (n,) their numbers
    time, amount, per_mass   (n, most) times ascending, share of the dose, and that per mass
    count, first, last       (n,) samples of each, and the times of the first and last
    """

    study: np.ndarray
    time: np.ndarray
    amount: np.ndarray
    per_mass: np.ndarray
    count: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(
        cls, study: np.ndarray, time: np.ndarray, amount: np.ndarray, per_mass: np.ndarray
    ) -> Courses:
        """Courses of a long table, a row for each sample, those of a study in order of time."""
        numbers, begin, count = np.unique(study, return_index=True, return_counts=True)
        shape = (numbers.size, int(count.max(initial=0)))
        inside = np.arange(shape[1]) < count[:, None]
        rows = (begin[:, None] + np.arange(shape[1]))[inside]
        columns = []
        for long in (time, amount, per_mass):
            wide = np.full(shape, np.nan)
            wide[inside] = long[rows]
            columns.append(wide)
        return cls(
            study=numbers,
            time=columns[0],
            amount=columns[1],
            per_mass=columns[2],
            count=count,
            first=columns[0][:, 0],
            last=np.nanmax(columns[0], axis=1),
        )


def measure(
    courses: Courses, metric: str, at: float | None = None, until: float | None = None
) -> np.ndarray:
    """One figure of each course (n,), in its own window or, with `until`, in 0 to `until` of all.

    time_averaged_percent_id  area from zero to the window's end, over that end
    auc_percent_id            that area
    percent_id_at             the share at time `at`
    max_percent_id, max_percent_id_per_g   highest sample of the window

    >>> one = np.ones(3)
    >>> courses = Courses.of(one, np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0, 1.0]), one)
    >>> measure(courses, "auc_percent_id"), measure(courses, "percent_id_at", at=3.0)
    (array([6.]), array([1.5]))
    """
    if metric == "percent_id_at":
        return _line_at(courses, np.nan if at is None else at)
    end = courses.last if until is None else _near(courses, float(until))
    known = np.isfinite(end)
    if metric.startswith("max_"):
        values = courses.amount if metric == "max_percent_id" else courses.per_mass
        within = known[:, None] & (courses.time <= end[:, None])
        highest = np.where(within, values, -np.inf).max(axis=1)
        return np.where(known, highest, np.nan)
    area = np.where(known, _area(courses, end), np.nan)
    return area / end if metric == "time_averaged_percent_id" else area


def _near(courses: Courses, moment: float) -> np.ndarray:
    """A time as each course has it: itself, its end or begin within 5 % of it, or NaN."""
    inside = np.clip(moment, courses.first, courses.last)
    return np.where(np.abs(inside - moment) <= SAME_TIME * moment, inside, np.nan)


def _line_at(courses: Courses, moment: float) -> np.ndarray:
    """The straight line between samples at one time; NaN outside the samples."""
    return np.array(
        [
            np.interp(at, time[:count], amount[:count])
            for at, time, amount, count in zip(
                _near(courses, moment), courses.time, courses.amount, courses.count, strict=True
            )
        ]
    )  # fmt: skip


def _area(courses: Courses, end: np.ndarray) -> np.ndarray:
    """Area (n,) under the straight lines from (0, 0) through the samples to `end`."""
    zero = np.zeros((len(end), 1))
    time = np.hstack([zero, courses.time])
    amount = np.hstack([zero, courses.amount])
    start, stop = time[:, :-1], time[:, 1:]
    used = np.clip(np.nan_to_num(end)[:, None] - start, 0.0, stop - start)
    step = np.where(stop > start, stop - start, 1.0)
    slope = np.where(stop > start, np.diff(amount, axis=1) / step, 0.0)
    return np.asarray(np.nansum(used * (amount[:, :-1] + slope * used / 2), axis=1))
