"""Response criteria: their thresholds, read from the dated files in `response_criteria`.

Each file names its source. Numbers are read as exact decimals, so that 0.8 is four fifths.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from igdd.errors import StudyError

if TYPE_CHECKING:
    from igdd.kernels.response import SizeRule
    from igdd.kernels.response_course import Confirmation, Measurable
    from igdd.kernels.response_eortc import EortcRule
    from igdd.kernels.response_metabolic import PercistRule

CRITERIA = (
    "recist_1_1", "irecist", "mrecist", "choi", "choi_modified", "percist_1_0", "eortc_1999",
    "preclinical_25",
)  # fmt: skip
RESPONSES: Mapping[str, str] = {
    "CR": "complete response", "PR": "partial response", "SD": "stable disease",
    "PD": "progressive disease", "NE": "not evaluable",
    "non-CR/non-PD": "neither complete response nor progression",
    "iCR": "complete response", "iPR": "partial response", "iSD": "stable disease",
    "iUPD": "unconfirmed progression", "iCPD": "confirmed progression",
    "non-iCR/non-iUPD": "neither complete response nor progression",
    "CMR": "complete metabolic response", "PMR": "partial metabolic response",
    "SMD": "stable metabolic disease", "PMD": "progressive metabolic disease",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Criterion:
    """A criterion: its key, name, kind ("size", "percist", "eortc", "preclinical") and numbers."""

    key: str
    name: str
    kind: str
    source: str
    tables: Mapping[str, Any]

    def size_rule(self) -> SizeRule:
        """Thresholds on the sum of diameters."""
        from igdd.kernels.response import SizeRule

        said, course = self.tables["response"], self.tables["course"]
        attenuation = said.get("attenuation_decrease_percent")
        return SizeRule(
            name=self.name,
            decrease=_exact(said["decrease_percent"]),
            increase=_exact(said["increase_percent"]),
            increase_mm=_exact(said["increase_mm"]),
            progression_from=said["progression_from"],
            node_normal_mm=_exact(self.tables["targets"]["node_normal_mm"]),
            attenuation_decrease=None if attenuation is None else _exact(attenuation),
            both=bool(said.get("both", False)),
            response_days=float(course["response_days"]),
            stable_days=float(course["stable_days"]),
        )

    def measurable(self) -> Measurable:
        """What may be a target, and how many."""
        from igdd.kernels.response_course import Measurable

        said = self.tables["targets"]
        return Measurable(
            lesion_mm=_exact(said["lesion_mm"]),
            node_mm=_exact(said["node_mm"]),
            node_normal_mm=_exact(said["node_normal_mm"]),
            slices=_exact(said["slices"]),
            most=int(said["most"]),
            most_per_organ=int(said["most_per_organ"]),
        )

    def confirmation(self) -> Confirmation | None:
        """How progression is confirmed, where the criterion asks for that."""
        from igdd.kernels.response_course import Confirmation

        said = self.tables.get("confirmation")
        if said is None:
            return None
        return Confirmation(
            earliest_days=float(said["earliest_days"]),
            latest_days=float(said["latest_days"]),
            growth_mm=_exact(said["growth_mm"]),
        )

    def percist_rule(self) -> PercistRule:
        """Thresholds of PERCIST."""
        from igdd.kernels.response_metabolic import PercistRule

        said = self.tables["response"]
        numbers = {
            name: _exact(number)
            for table in ("measurable", "comparable")
            for name, number in self.tables[table].items()
        }
        return PercistRule(
            decrease=_exact(said["decrease_percent"]),
            decrease_sul=_exact(said["decrease_sul"]),
            increase=_exact(said["increase_percent"]),
            increase_sul=_exact(said["increase_sul"]),
            increase_inclusive=bool(said["increase_inclusive"]),
            amount_increase=_exact(said["amount_increase_percent"]),
            amount_needs_no_decline=bool(said["amount_needs_no_decline"]),
            **numbers,
        )

    def eortc_rule(self) -> EortcRule:
        """Thresholds of EORTC."""
        from igdd.kernels.response_eortc import EortcRule

        said = self.tables["response"]
        return EortcRule(
            decrease_first=_exact(said["decrease_first_percent"]),
            decrease_later=_exact(said["decrease_later_percent"]),
            increase=_exact(said["increase_percent"]),
            extent_increase=_exact(said["extent_increase_percent"]),
        )


def _exact(number: Decimal | int) -> Fraction:
    return Fraction(number)


@cache
def criterion(key: str) -> Criterion:
    """A criterion by its key, such as "recist_1_1".

    >>> criterion("percist_1_0").percist_rule().decrease_sul
    Fraction(4, 5)
    """
    if key not in CRITERIA:
        raise StudyError(f"compare.criterion = {key!r}; expected one of {', '.join(CRITERIA)}")
    place = files("igdd").joinpath("comparisons", "response_criteria", f"{key}.toml")
    tables = tomllib.loads(place.read_text("utf-8"), parse_float=Decimal)
    return Criterion(
        key=key, name=tables["name"], kind=tables["kind"], source=tables["source"], tables=tables
    )
