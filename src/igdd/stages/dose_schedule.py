"""From the events of an individual to doses and the time that has passed since each at the samples.

A reset (EVID 3, 4) and a dose at steady state (SS 1) wipe out what was given before. A sample in
the same instant as a dose sees it where its row comes after the dose's; an additional dose (ADDL)
in the instant of a sample is given before it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.io.event_table import Events
from igdd.kernels.dose_response import Schedule

MOST_DOSES = 20_000


class Course(NamedTuple):
    """Doses of an individual as its samples see them, the samples' times, values and rows."""

    schedule: Schedule
    time: np.ndarray
    value: np.ndarray
    row: np.ndarray


class _Dose(NamedTuple):
    time: float
    epoch: int
    row: int
    amount: float
    duration: float
    depot: bool
    interval: float
    rate: float


def course(events: Events, depot: bool, source: str) -> Course:
    """The course of one individual; `depot`: whether the model has first-order input.

    Compartment 1 is then the depot and 2 the central one, else 1 is the central one.
    """
    central = 2 if depot else 1
    epoch, doses = 0, []
    samples: list[tuple[int, int]] = []
    for row, kind in enumerate(events.kind):
        where = f"{source}: line {events.line[row]}"
        if kind in (3, 4) or (kind == 1 and events.steady[row] == 1):
            epoch += 1
        if kind in (1, 4):
            doses += _given(events, row, epoch, (central, depot), where)
        elif kind == 0 and np.isfinite(events.value[row]):
            if events.compartment[row] not in (0, central) and not np.isnan(
                events.compartment[row]
            ):
                raise InputError(
                    f"{where}: a sample of compartment {events.compartment[row]:g}; expected "
                    f"{central}, the central one, of which alone concentrations are known"
                )
            samples.append((row, epoch))
        if len(doses) > MOST_DOSES:
            raise InputError(f"{where}: more than {MOST_DOSES} doses; expected fewer")
    rows = np.array([row for row, _ in samples], dtype=int)
    epochs = np.array([one for _, one in samples], dtype=int)
    return Course(_schedule(doses, events.time[rows], rows, epochs), events.time[rows],
                  events.value[rows], rows)  # fmt: skip


def _given(
    events: Events, row: int, epoch: int, compartments: tuple[int, bool], where: str
) -> list[_Dose]:
    """The doses that one row gives."""
    central, depot = compartments
    number = events.compartment[row]
    if np.isnan(number) or number == 0:
        number = 1
    if number not in (1, central):
        raise InputError(
            f"{where}: a dose into compartment {number:g}; expected "
            + ("1, the depot, or 2, the central one" if depot else "1, the central one")
        )
    into_depot = depot and number == 1
    amount, rate = float(events.amount[row]), float(events.rate[row])
    if into_depot and rate > 0:
        raise InputError(
            f"{where}: an infusion (RATE) into the depot; expected first-order input alone, or the "
            "infusion into compartment 2"
        )
    forever = amount == 0
    steady = events.steady[row] > 0
    first = _Dose(
        time=float(events.time[row]),
        epoch=epoch,
        row=row,
        amount=amount,
        duration=0.0 if forever or not rate > 0 else amount / rate,
        depot=into_depot,
        interval=float(events.interval[row]) if steady and not forever else 0.0,
        rate=rate if forever else 0.0,
    )
    step = float(events.interval[row])
    later = [
        first._replace(time=first.time + number * step, interval=0.0)
        for number in range(1, int(events.further[row]) + 1)
    ]
    return [first, *later]


def _schedule(
    doses: list[_Dose], time: np.ndarray, rows: np.ndarray, epochs: np.ndarray
) -> Schedule:
    elapsed = np.full((len(doses), time.size), -1.0)
    for place, dose in enumerate(doses):
        passed = time - dose.time
        seen = (epochs == dose.epoch) & (rows > dose.row) & (passed >= 0)
        elapsed[place] = np.where(seen, passed, -1.0)
    return Schedule(
        elapsed=elapsed,
        amount=np.array([one.amount for one in doses], dtype=float),
        duration=np.array([one.duration for one in doses], dtype=float),
        depot=np.array([one.depot for one in doses], dtype=bool),
        interval=np.array([one.interval for one in doses], dtype=float),
        rate=np.array([one.rate for one in doses], dtype=float),
    )
