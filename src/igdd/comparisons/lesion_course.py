"""Lesions over time: the rows of each subject's scans as visits that a response rule can judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from igdd.comparisons.session_order import DAY, session_order
from igdd.errors import StudyError

if TYPE_CHECKING:
    import pandas as pd

    from igdd.kernels.response import Visit
    from igdd.kernels.response_course import Measurable
    from igdd.kernels.response_metabolic import Uptake

# The region of rows that are of a whole scan, as the metric `peak` writes them.
SCAN = "scan"
STATUS = ("absent", "present", "progressed", "grown")


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What the study says of how to judge; the options of the comparison `response`."""

    metric: str
    slice_thickness: float
    reference: str | None
    reference_kind: str
    background: float | None
    amount: str
    first_cycle: tuple[str, ...] | None
    decrease: float | None
    increase: float | None
    confirm: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """One subject's lesions, scan by scan.

    values  (session, region, metric) -> value; `sds` the same -> standard deviation
    followed, fresh   lesions of the baseline; lesions that appear later
    """

    subject: str
    analyte: str
    sessions: tuple[str, ...]
    days: tuple[float | None, ...]
    minutes: Mapping[str, float]
    values: Mapping[tuple[str, str, str], float]
    sds: Mapping[tuple[str, str, str], float]
    followed: tuple[str, ...]
    fresh: tuple[str, ...]
    candidates: tuple[str, ...]
    nodes: frozenset[str]
    organs: Mapping[str, str]
    metric: str

    @property
    def count(self) -> int:
        """Number of lesions that are followed."""
        return len(self.followed)

    def value(self, session: str, region: str, metric: str) -> float | None:
        """A value of the table, or None where there is none."""
        found = self.values.get((session, region, metric), float("nan"))
        return found if np.isfinite(found) else None

    def size(self, session: str, region: str) -> float | None:
        """Longest diameter, or a node's short axis, in mm."""
        metric = "short_axis" if region in self.nodes else self.metric
        return self.value(session, region, metric)

    def visits(
        self, measurable: Measurable, slice_mm: float
    ) -> tuple[list[Visit], frozenset[str], str]:
        """Visits, the nodes among the targets, and how the targets were chosen."""
        from igdd.kernels.response import Visit
        from igdd.kernels.response_course import Candidate, select

        base = self.sessions[0]
        sized = [name for name in self.candidates if self.size(base, name) is not None]
        possible = [
            Candidate(
                name=name, organ=self.organs.get(name, name), node=name in self.nodes,
                size=float(self.size(base, name) or 0.0),
            )
            for name in sized
        ]  # fmt: skip
        targets, small = select(possible, measurable, slice_mm)
        rest = tuple(name for name in self.followed if name not in sized) + small
        visits = [
            Visit(
                name=session,
                sizes={name: self.size(session, name) for name in targets},
                attenuation={name: self.value(session, name, "attenuation") for name in targets},
                others=self._others(session, rest, float(measurable.node_normal_mm)),
                new=self._new(session, float(measurable.node_normal_mm)) if place else (),
                new_sizes={
                    name: size
                    for name in self.fresh
                    if (size := self.size(session, name)) is not None
                },
                day=self.days[place],
            )
            for place, session in enumerate(self.sessions)
        ]
        note = f"targets: {', '.join(targets) or 'none'}"
        note += f"; non-targets: {', '.join(rest)}" if rest else ""
        return visits, self.nodes & frozenset(targets), note

    def _others(self, session: str, names: Sequence[str], normal: float) -> str:
        """State of the non-target lesions: the worst that is seen, absent only if all are."""
        if not names:
            return "none"
        states = [self._state(session, name, normal) for name in names]
        for state in ("grown", "progressed", "not_evaluated", "present"):
            if state in states:
                return state
        return "absent"

    def _state(self, session: str, name: str, normal: float) -> str:
        status = self.value(session, name, "status")
        if status is not None:
            if status not in range(len(STATUS)):
                raise StudyError(
                    f"subject {self.subject}, session {session}: status of {name} is {status:g}; "
                    "expected 0 absent, 1 present, 2 progressed or 3 grown further"
                )
            return STATUS[int(status)]
        size = self.size(session, name)
        if size is None:
            return "not_evaluated"
        gone = size < normal if name in self.nodes else size == 0
        return "absent" if gone else "present"

    def _new(self, session: str, normal: float) -> tuple[str, ...]:
        return tuple(
            name
            for name in self.fresh
            if self._state(session, name, normal) not in ("absent", "not_evaluated")
        )

    def scans(self, asked: Judging) -> list[Uptake]:
        """The sessions as scans of uptake."""
        from igdd.kernels.response_metabolic import Uptake

        found = []
        for place, session in enumerate(self.sessions):
            reference = self._reference(session, asked.reference)
            liver = asked.reference_kind == "liver"
            cycles = None if asked.first_cycle is None else 1 + (session not in asked.first_cycle)
            found.append(
                Uptake(
                    name=session,
                    peaks={one: self.value(session, one, asked.metric) for one in self.followed},
                    amounts=self._known(session, asked.amount),
                    extents=self._known(session, "longest_diameter"),
                    new=self._new_uptake(session, asked.metric) if place else (),
                    others=self._worst(session),
                    liver=reference if liver else None,
                    blood=None if liver else reference,
                    background=asked.background,
                    minutes=self._minutes(session),
                    dose=self.value(session, SCAN, "administered_activity"),
                    after_cycles=cycles,
                    day=self.days[place],
                )
            )
        return found

    def _minutes(self, session: str) -> float | None:
        """From injection to the scan; beyond a day the clock is that of an earlier injection."""
        told = self.value(session, SCAN, "uptake_time")
        if told is None:
            return self.minutes.get(session)
        return told if told < DAY / 60 else None

    def _known(self, session: str, metric: str) -> dict[str, float | None]:
        """Values of a metric where the baseline has them."""
        base = self.sessions[0]
        return {
            name: self.value(session, name, metric)
            for name in self.followed
            if self.value(base, name, metric) is not None
        }

    def _worst(self, session: str) -> str:
        states = [self.value(session, name, "status") for name in self.followed]
        return "progressed" if any(one is not None and one >= 2 for one in states) else "none"

    def _new_uptake(self, session: str, metric: str) -> tuple[str, ...]:
        return tuple(
            name
            for name in self.fresh
            if self.value(session, name, metric) is not None
            or (self.value(session, name, "status") or 0) > 0
        )

    def _reference(self, session: str, region: str | None) -> tuple[float, float] | None:
        if region is None:
            return None
        mean, sd = (self.value(session, region, name) for name in ("sulmean", "sulsd"))
        if mean is None or sd is None:
            raise StudyError(
                f"subject {self.subject}, session {session}: {region} has no sulmean and sulsd; "
                "expected both: measure the metric 'peak' with this region drawn"
            )
        return mean, sd

    def relative_sd(self, session: str, metric: str) -> float:
        """Relative standard deviation of (sum now) / (sum at baseline), NaN where not known."""
        squares = 0.0
        for one in (self.sessions[0], session):
            names = [name for name in self.followed if self.size(one, name) is not None]
            total = sum(float(self.size(one, name) or 0.0) for name in names)
            spread = [self.sds.get((one, name, self._metric(name, metric))) for name in names]
            known = [sd for sd in spread if sd is not None and np.isfinite(sd)]
            if not total > 0 or len(known) < len(names):
                return float("nan")
            squares += sum(sd**2 for sd in known) / total**2
        return float(np.sqrt(squares))

    def _metric(self, name: str, metric: str) -> str:
        return "short_axis" if name in self.nodes else metric


def courses(
    measurements: pd.DataFrame,
    kinds: Mapping[str, str],
    metric: str,
    *,
    sessions: Sequence[str] | None,
    days: Sequence[str] | None,
    targets: Sequence[str] | None,
    nodes: Sequence[str],
    non_targets: Sequence[str],
    organs: Sequence[str],
) -> list[Course]:
    """Courses of all subjects that have a baseline and a later scan."""
    if metric not in set(measurements["metric"]) and "status" not in set(measurements["metric"]):
        known = ", ".join(sorted(set(measurements["metric"]))) or "(none)"
        raise StudyError(f"response needs the metric {metric!r}; expected it among {known}")
    patterns = (*(targets or ()), *nodes, *non_targets)
    lesion = {
        str(name)
        for name in set(measurements["region"])
        if str(name) != SCAN and (kinds.get(str(name)) == "lesion" or _fits(str(name), patterns))
    }
    placed = _organs(organs)
    found = []
    for subject, rows in measurements.groupby("subject", sort=True):
        order, at = session_order(rows, sessions, days, str(subject))
        if len(order) < 2:
            continue
        found.append(
            _course(
                str(subject), rows, order=(order, at), lesion=lesion, metric=metric,
                named=(targets, nodes, non_targets), placed=placed,
            )
        )  # fmt: skip
    if not found:
        raise StudyError(
            "no subject has a baseline and a later session; expected at least two sessions of one "
            "subject among compare.sessions"
        )
    return found


def _course(
    subject: str,
    rows: pd.DataFrame,
    *,
    order: tuple[tuple[str, ...], tuple[float | None, ...]],
    lesion: set[str],
    metric: str,
    named: tuple[Sequence[str] | None, Sequence[str], Sequence[str]],
    placed: Sequence[tuple[str, str]],
) -> Course:
    targets, nodes, non_targets = named
    sessions, at = order
    rows = rows[rows["session"].isin(sessions)].sort_values("time", kind="stable")
    keys = list(zip(rows["session"], rows["region"], rows["metric"], strict=True))
    excluded = (
        rows["flags"].fillna("").astype(str).str.split(";").map(lambda all: "excluded" in all)
    )
    out = set(rows.loc[excluded & (rows["session"] == sessions[0]), "region"])
    # The last frame of a session counts; what the study excludes was not evaluated.
    values = dict(zip(keys, rows["value"].astype(float).where(~excluded), strict=True))
    sds = dict(zip(keys, rows["sd"].astype(float), strict=True))
    shown = [name for name in sorted(lesion - out) if any(key[1] == name for key in values)]
    followed = tuple(
        name for name in shown if any(key[0] == sessions[0] and key[1] == name for key in values)
    )
    minutes = rows.groupby("session")["time"].median() / 60
    apart = bool(minutes.max() - minutes.min() > DAY / 60)
    analytes = rows.loc[rows["metric"] == metric, "analyte"]
    return Course(
        subject=subject,
        analyte=str(analytes.iloc[0]) if len(analytes) else "label",
        sessions=sessions,
        days=at,
        # Where sessions share one clock, their times say nothing of each one's injection.
        minutes={} if apart else {str(k): float(v) for k, v in minutes.items() if np.isfinite(v)},
        values=values,
        sds=sds,
        followed=followed,
        fresh=tuple(name for name in shown if name not in followed),
        candidates=tuple(
            name
            for name in followed
            if not _fits(name, non_targets) and (targets is None or _fits(name, targets))
        ),
        nodes=frozenset(name for name in shown if _fits(name, nodes)),
        organs={
            name: organ for name in shown for pattern, organ in placed if _fits(name, (pattern,))
        },
        metric=metric,
    )


def _organs(said: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for text in said:
        name, mark, organ = text.partition("=")
        if not mark or not name.strip() or not organ.strip():
            raise StudyError(f"compare.organs holds {text!r}; expected such as 'lesion_1=liver'")
        found.append((name.strip(), organ.strip()))
    return found


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
