"""HTML: the content as one page that needs no network and runs under a strict content policy.

Charts are drawn by Vega with its expression interpreter (`ast`), so no text is ever compiled to
code. Scripts and styles are admitted by their SHA-256 alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from igdd.flags import FLAGS
from igdd.report.chart import Chart
from igdd.report.content import Content, Text
from igdd.report.listings import Table
from igdd.report.pictures import Picture

TEMPLATES = Path(__file__).parent / "templates"


def page(report: Content) -> str:
    """The whole report as one HTML document."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    blocks = [block for section in report.sections for block in section.blocks]
    charts = {block.name: block.spec for block in blocks if isinstance(block, Chart)}
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    script = drawing_script() if charts else ""
    return environment.get_template("report.html.j2").render(
        report=report,
        flags=FLAGS,
        kind=_kind,
        image=_image,
        style=Markup(style),
        script=Markup(script),
        charts=Markup(embedded_json(charts)),
        policy=policy(style, script),
    )


def policy(style: str, script: str) -> str:
    """Content policy: nothing but this style, this script and images that stand in the page."""
    scripts = f"script-src {_hash(script)}; " if script else ""
    # Vega sets style attributes on its own drawing; they cannot load or run anything here.
    styles = f"style-src {_hash(style)}; style-src-attr 'unsafe-inline'"
    return (
        f"default-src 'none'; {scripts}{styles}; img-src data:; base-uri 'none'; form-action 'none'"
    )


def embedded_json(value: Any) -> str:
    """JSON that may stand inside a script element: no markup can begin in it.

    >>> embedded_json({"a": "</script>"})
    '{"a":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def drawing_script() -> str:
    """Vega, Vega-Lite and Vega-Embed, and the few lines that draw every chart of the page."""
    import vl_convert

    bundle = str(vl_convert.javascript_bundle((TEMPLATES / "draw.js").read_text(encoding="utf-8")))
    # Inside a script element only these could end or confuse it.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--").strip()


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _image(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png).decode()


def _kind(block: object) -> str:
    for kind in (Text, Table, Chart, Picture):
        if isinstance(block, kind):
            return kind.__name__.lower()
    raise TypeError(f"{type(block).__name__} is no block of a report")
