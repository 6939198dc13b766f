"""Compare: the measurements of all subjects become findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from igdd import catalog
from igdd.results import FINDINGS

if TYPE_CHECKING:
    import pandas as pd


def compare(
    measurements: pd.DataFrame, kinds: Mapping[str, str], requests: Sequence[Any]
) -> pd.DataFrame:
    """Findings of every `[[compare]]` of the study, in its order; `kinds` names a region's kind."""
    import pandas as pd

    tables = []
    for asked in requests:
        options = asked.model_dump()
        method = catalog.find("comparisons", options.pop("method"))
        options.pop("version")
        tables.append(method.function(measurements, kinds=kinds, **options))
    if not tables:
        return pd.DataFrame(columns=list(FINDINGS))
    findings: pd.DataFrame = pd.concat(tables, ignore_index=True)[list(FINDINGS)]
    return findings
