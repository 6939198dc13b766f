"""What released label of several subjects sums up to: means of groups, and the text to read.

Subjects scatter by themselves; the controls' error is common to them and does not average out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from igdd.uncertainty import NORMAL_95

RELEASED, ON_CARRIER, UNDECIDED = "released", "on carrier", "undecided"


def group_means(subjects: Sequence[Mapping[str, Any]], margin: float) -> list[dict[str, Any]]:
    """Means of groups of two or more subjects, at times that all of them have."""
    from scipy import special

    found = []
    for group in sorted({str(one["group"]) for one in subjects}):
        mine = [one for one in subjects if one["group"] == group]
        if len(mine) < 2:
            continue
        tables = [{row["time"]: row for row in one["released"]} for one in mine]
        rows = []
        for time in sorted(set.intersection(*(set(one) for one in tables))):
            values = np.array([one[time]["unconstrained"] for one in tables])
            shared = float(np.mean([one[time]["sd_control"] for one in tables]))
            own = float(values.std(ddof=1)) / np.sqrt(len(values))
            reach = float(
                np.hypot(special.stdtrit(len(values) - 1, 0.975) * own, NORMAL_95 * shared)
            )
            mean = float(values.mean())
            low, high = np.clip([mean - reach, mean + reach], 0.0, 1.0)
            rows.append({"time": time, "time_h": time / 3600, "value": float(np.clip(mean, 0, 1)),
                         "low": float(low), "high": float(high), "n": len(values)})  # fmt: skip
        decision = UNDECIDED
        if rows and rows[-1]["low"] > margin:
            decision = RELEASED
        elif rows and rows[-1]["high"] < margin:
            decision = ON_CARRIER
        found.append({"group": group, "subjects": [one["subject"] for one in mine],
                      "released": rows, "decision": decision})  # fmt: skip
    return found


def text(found: Mapping[str, Any]) -> str:
    """What `shedding` found, for reading."""
    lines = []
    for one in found["subjects"]:
        name = " ".join(filter(None, (one["subject"], one["group"])))
        lines.append(f"{name} ({', '.join(one['places'])}): {one['decision']}")
        lines += [_row(row) for row in one["released"]]
        lines += [f"  {reason}" for reason in one["reasons"]]
        lines += [f"  flag: {flag}" for flag in one["flags"]]
    for one in found["groups"]:
        lines.append(f"mean of {one['group'] or 'all'} (n = {len(one['subjects'])}): "
                     f"{one['decision']}")  # fmt: skip
        lines += [_row(row) for row in one["released"]]
    lines += [f"not used: {what}" for what in found["not_used"]]
    lines += [f"assumed: {what}" for what in found["assumptions"]]
    return "\n".join(lines)


def _row(row: Mapping[str, Any]) -> str:
    return (
        f"  {row['time_h']:8.2f} h  {100 * row['value']:5.1f} %  "
        f"({100 * row['low']:.1f} to {100 * row['high']:.1f})"
    )
