"""PDF: the same content set by typst, with the one bundled font and no clock.

Charts are the same specifications, drawn to SVG. Texts reach typst as values in a JSON file, so
nothing in a study can be read as markup or code; the compiler sees no file outside its own folder.
"""

from __future__ import annotations

import json
import re
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from igdd.report import theme
from igdd.report.chart import Chart
from igdd.report.content import Block, Content, Text
from igdd.report.listings import Table

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
# Width of a page's text in the pixels of a chart: wider charts shrink, narrower ones keep size.
TEXT_WIDTH = 700.0
TEXT_HEIGHT = 930.0
LONGEST_WORD = 24
LONGEST_COLUMN = 60
SHORT = 26
# Characters of a table's line that a page's width holds.
WIDEST_TABLE = 115


def document(report: Content) -> bytes:
    """The whole report as one PDF."""
    import typst

    with tempfile.TemporaryDirectory(prefix="igdd-report-") as name:
        folder = Path(name)
        sections = [
            {
                "title": section.title,
                "blocks": [
                    _block(block, folder, f"{place}-{number}")
                    for number, block in enumerate(section.blocks)
                ],
            }
            for place, section in enumerate(report.sections)
        ]
        said = {
            "title": breakable(report.title),
            "summary": breakable(report.summary),
            "footer": f"igdd {report.version} · research use; not a medical device",
            "answers": [
                {
                    "title": title,
                    "answers": [
                        {"text": breakable(answer.text), "flags": list(answer.flags)}
                        for answer in found
                    ],
                }
                for title, found in report.answers
            ],
            "sections": sections,
        }
        (folder / "content.json").write_text(json.dumps(said, sort_keys=True), encoding="utf-8")
        main = folder / "report.typ"
        main.write_bytes(TEMPLATE.read_bytes())
        return bytes(
            typst.compile(
                str(main),
                root=str(folder),
                font_paths=[str(theme.font_folder())],
                ignore_system_fonts=True,
                timestamp=0,
            )
        )


def _block(block: Block, folder: Path, name: str) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"kind": "text", "text": breakable(block.text)}
    if isinstance(block, Table):
        return _table(block)
    common = {
        "kind": "figure", "title": breakable(block.title), "caption": breakable(block.caption),
    }  # fmt: skip
    if isinstance(block, Chart):
        drawing = svg(block.spec)
        (folder / f"{name}.svg").write_text(drawing, encoding="utf-8")
        width, height = _svg_size(drawing)
        return common | {"path": f"{name}.svg", "width": _share(width, height)}
    (folder / f"{name}.png").write_bytes(block.png)
    width, height = struct.unpack(">II", block.png[16:24])
    scale = TEXT_WIDTH / width
    return common | {"path": f"{name}.png", "width": _share(TEXT_WIDTH, height * scale)}


def _table(block: Table) -> dict[str, Any]:
    return {
        "kind": "table",
        "title": breakable(block.title),
        "columns": [breakable(name) for name in block.columns],
        "rows": [[breakable(cell) for cell in row] for row in block.rows],
        "right": list(block.right),
        "widths": _widths(block),
        "note": breakable(block.note),
    }


def _widths(block: Table) -> list[int]:
    """Shares of the columns in a page's width; 0 takes what it needs.

    Columns of long text share what the others leave. Where nothing would be left, all share.
    """
    columns = list(zip(block.columns, *block.rows, strict=True))
    longest = [max([len(cell) for cell in column[1:]] or [0]) for column in columns]
    shares = [
        0 if right or n <= SHORT else min(n, LONGEST_COLUMN)
        for n, right in zip(longest, block.right, strict=True)
    ]
    if sum(SHORT if share else n for n, share in zip(longest, shares, strict=True)) <= WIDEST_TABLE:
        return shares
    # A cell may break into two lines; a word, into none.
    words = [
        max(len(word) for cell in column for word in f"{cell} -".split(" ")) for column in columns
    ]
    return [
        min(max(word, -(-n // 2)), LONGEST_COLUMN) + 2
        for word, n in zip(words, longest, strict=True)
    ]


@cache
def _register_font() -> None:
    import vl_convert

    vl_convert.register_font_directory(str(theme.font_folder()))


def svg(spec: dict[str, Any]) -> str:
    """A chart as SVG, with identifiers numbered from one so that equal charts are equal bytes."""
    import vl_convert

    _register_font()
    drawing = str(vl_convert.vegalite_to_svg(spec, vl_version="6.4", allowed_base_urls=[]))
    return renumbered(drawing)


def renumbered(drawing: str) -> str:
    """Identifiers of an SVG, and what points at them, numbered in the order of their definition.

    >>> renumbered('<g id="clip7"/><g clip-path="url(#clip7)"/>')
    '<g id="n1"/><g clip-path="url(#n1)"/>'
    """
    # Only inside tags: a region may well be called id="x".
    tags = _TAG.findall(drawing)
    found = (name for tag in tags for name in _IDENTIFIER.findall(tag))
    names = {old: f"n{number}" for number, old in enumerate(dict.fromkeys(found), 1)}

    def renamed(tag: re.Match[str]) -> str:
        text = _IDENTIFIER.sub(lambda at: f' id="{names[at[1]]}"', tag[0])
        return _POINTER.sub(lambda at: f"url(#{names.get(at[1], at[1])})", text)

    return _TAG.sub(renamed, drawing)


_TAG = re.compile(r"<[A-Za-z][^<>]*>")
_IDENTIFIER = re.compile(r' id="([A-Za-z][\w-]*)"')
_POINTER = re.compile(r"url\(#([\w-]+)\)")


def _svg_size(drawing: str) -> tuple[float, float]:
    found = re.search(r'<svg[^>]* width="([\d.]+)" height="([\d.]+)"', drawing)
    return (float(found[1]), float(found[2])) if found else (TEXT_WIDTH, TEXT_WIDTH)


def _share(width: float, height: float) -> float:
    """Share of the text's width that a figure takes; a tall one shrinks to fit the page."""
    return round(min(1.0, width / TEXT_WIDTH, TEXT_HEIGHT / height * width / TEXT_WIDTH), 4)


def breakable(text: str) -> str:
    """The text with a zero-width space in every overlong word, and without control characters.

    >>> len(breakable("x" * 30)), breakable("short words stay")
    (31, 'short words stay')
    """
    printable = "".join(c if c.isprintable() or c == "\N{NO-BREAK SPACE}" else " " for c in text)
    printable = re.sub(rf"(\S{{{LONGEST_WORD}}})(?=\S)", "\\1\u200b", printable)
    return printable.replace("%ID/", "%ID/\u2060")
