"""What `igdd release` prints for the eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def text(found: Mapping[str, Any]) -> str:
    """Formulations, their models best first, and comparisons, as lines for the eye."""
    lines = []
    for one in found["formulations"]:
        shown = (
            f"{name} {_with_unit(name, one[name])}"
            for name in ("T50", "T80", "MDT", "dissolution_efficiency")
        )
        lines.append(f"{one['formulation']}: {', '.join(shown)}{_flags(one['flags'])}")
        for row in one["models"]:
            weight = "      " if row["weight"] is None else f"{row['weight']:6.3f}"
            shown = (
                f"{name} {_with_unit(name, entry)}" for name, entry in row["parameters"].items()
            )
            lines.append(
                f"  {row['model']:18} weight {weight}  AICc {_figure(row['aicc']):>8}  "
                f"R2adj {_figure(row['r2_adjusted'])}  {', '.join(shown)}{_flags(row['flags'])}"
            )
    for one in found["comparisons"]:
        limits = one["bootstrap"]["f2"]
        between = (
            ""
            if limits["low"] != limits["low"]
            else (f" (90 % limits {limits['low']:.2f} to {limits['high']:.2f})")
        )
        lines.append(
            f"{one['test']} against {one['reference']}: f1 {_figure(one['f1'])}, "
            f"f2 {_figure(one['f2'])}{between} over {one['points']} times: {one['verdict']}"
            f"{_flags(one['flags'])}"
        )
    return "\n".join(lines)


def _with_unit(name: str, entry: Mapping[str, Any]) -> str:
    if not np.isfinite(entry["value"]):
        return "not reached" if name in ("T50", "T80") else "unknown"
    return f"{_figure(entry['value'])} {entry['unit']}".removesuffix(" 1")


def _figure(value: float) -> str:
    return "unknown" if not np.isfinite(value) else f"{value:.4g}"


def _flags(flags: Sequence[str]) -> str:
    return f"  ({', '.join(flags)})" if flags else ""
