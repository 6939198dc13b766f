"""Report: figures, HTML and PDF, from Results alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from igdd.results import Results


def write_report(results: Results, folder: Path) -> tuple[Path, Path]:
    """Write report.html and report.pdf from the same content; answer their paths.

    Equal Results give equal bytes. Neither file needs the network.
    """
    from igdd.report.content import content
    from igdd.report.html import page
    from igdd.report.pdf import document

    said = content(results)
    folder.mkdir(parents=True, exist_ok=True)
    html, pdf = folder / "report.html", folder / "report.pdf"
    html.write_text(page(said), encoding="utf-8", newline="\n")
    pdf.write_bytes(document(said))
    return html, pdf
