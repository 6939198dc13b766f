"""Methods: what was done, as a paragraph for a paper, from the results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from igdd.report.overview import AMOUNT, LEDGER
from igdd.results import Results

# Beginning of a metric's name -> how it was computed.
COMPUTED = {
    AMOUNT: "Uptake was expressed as a percentage of the net administered activity (%ID): drawn "
    "up, less what stayed in the syringe and what was extravasated.",
    "percent_id_per_g": "For %ID per gram, mass was weighed (ex vivo) or volume times the declared "
    "density, 1 g/mL where none was declared.",
    "suv": "Standardised uptake values were normalised to net activity and body size.",
    "drug_concentration": "Drug concentration followed from the specific activity of the agent, "
    "whose label is on the drug.",
    "ratio_to_": "Ratios are of region means in one scan, so that calibration and dose drop out.",
    LEDGER: "The mass balance counts every voxel once and adds what was collected until the scan.",
}
INTERVALS = (
    "Intervals are 95 % intervals; they hold the image noise, the drawing of borders, the point "
    "spread, the scanner's calibration and the administered activity as far as each was declared, "
    "and a flag names each that was not."
)
ADJUSTED = "p values were adjusted by Holm's procedure."


def paragraph(results: Results, version: str) -> str:
    """The rules that were used, as sentences, each once."""
    metrics = set(results.measurements["metric"])
    sentences = [text.strip() for text in results.methods if text.strip()]
    if not sentences and not metrics:
        return ""
    sentences += [
        text for start, text in COMPUTED.items() if any(name.startswith(start) for name in metrics)
    ]
    sentences += [INTERVALS] if metrics else []
    sentences += _compared(results.findings.to_dict("records"))
    sentences.append(f"Computed with igdd {version}.")
    return " ".join(text if text[-1] in ".!?" else f"{text}." for text in dict.fromkeys(sentences))


def _compared(findings: Sequence[Mapping[Any, Any]]) -> list[str]:
    methods = dict.fromkeys(str(row["method"]) for row in findings if row["method"])
    if not methods:
        return []
    return [f"Comparisons: {'; '.join(methods)}.", ADJUSTED]
