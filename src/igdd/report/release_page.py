"""The page of a release table: what `igdd release --plot` writes."""

from __future__ import annotations

from igdd.report import release, wording
from igdd.report.content import Content, Section
from igdd.results import ReleasedCurves


def content(table: ReleasedCurves) -> Content:
    """The page's content."""
    from igdd import __version__

    return Content(
        title=f"Release: {table.source}",
        summary=f"Release in vitro of {wording.count(len(table.formulations), 'formulation')}, in "
        "% of the load.",
        answers=(("What is found", tuple(release.answers([table]))),),
        sections=(
            Section(
                name="release",
                title="Released over time",
                blocks=tuple(release.blocks([table])),
            ),
        ),
        version=__version__,
    )
