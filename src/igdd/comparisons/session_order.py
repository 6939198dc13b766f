"""The order of a subject's sessions: as the study says, or by time where that tells it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from igdd import units
from igdd.errors import StudyError

if TYPE_CHECKING:
    import pandas as pd

DAY = 86400.0


def session_order(
    rows: pd.DataFrame,
    sessions: Sequence[str] | None,
    days: Sequence[str] | None,
    subject: str,
) -> tuple[tuple[str, ...], tuple[float | None, ...]]:
    """Sessions of a subject in time order, and their days after the first, where known."""
    present = set(rows["session"].astype(str))
    if sessions is not None:
        if len(set(sessions)) != len(sessions):
            raise StudyError(f"compare.sessions = {list(sessions)}; expected each one once")
        read = _days(sessions, days)
        kept = [(name, day) for name, day in zip(sessions, read, strict=True) if name in present]
        if not kept or kept[0][0] != sessions[0]:
            return (), ()  # without the baseline there is nothing to compare with
        first = kept[0][1]
        after = tuple(None if day is None or first is None else day - first for _, day in kept)
        return tuple(name for name, _ in kept), after
    times = rows.groupby("session")["time"].median().sort_values(kind="stable")
    if not np.isfinite(times).all() or (np.diff(times.to_numpy()) < DAY).any():
        raise StudyError(
            f"subject {subject}: the sessions' times ({', '.join(map(str, times.index))}) do not "
            "say their order: they lie less than a day apart, as if each counted from its own "
            "administration; give compare.sessions in order, the baseline first"
        )
    first = float(times.iloc[0])
    return tuple(map(str, times.index)), tuple((float(one) - first) / DAY for one in times)


def _days(sessions: Sequence[str], days: Sequence[str] | None) -> list[float | None]:
    if days is None:
        return [None] * len(sessions)
    if len(days) != len(sessions):
        raise StudyError(
            f"compare.days has {len(days)} entries for {len(sessions)} sessions; expected one each"
        )
    read = [units.read(text, "s") / DAY for text in days]
    if any(late <= early for early, late in pairwise(read)):
        raise StudyError(f"compare.days = {list(days)}; expected each later than the one before")
    return list(read)
