"""HTML: one page, no network, a strict policy, and no text of a study ever becomes markup."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

import report_studies as studies
from igdd.report.content import content
from igdd.report.html import drawing_script, embedded_json, page, policy

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Elements(HTMLParser):
    """Collects elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.found, self.inside, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside.append((tag, dict(attrs), ""))

    def handle_data(self, data):
        if self.cdata_elem:
            tag, attrs, text = self.inside[-1]
            self.inside[-1] = (tag, attrs, text + data)
        else:
            self.words.append(data)


@pytest.fixture(scope="module")
def trial_page():
    return page(content(studies.trial()))


@pytest.fixture(scope="module")
def hostile_page():
    return page(content(studies.hostile()))


def test_hostile_text_stays_text(hostile_page):
    parsed = Elements(hostile_page)
    assert [tag for tag, _ in parsed.found].count("script") == 2
    sources = [attrs["src"] for tag, attrs in parsed.found if tag == "img"]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not [name for _, attrs in parsed.found for name in attrs if name.startswith("on")]
    assert studies.HOSTILE[0] in "".join(parsed.words)


def test_the_charts_are_json_that_reads_back(hostile_page):
    charts = next(
        text
        for tag, attrs, text in Elements(hostile_page).inside
        if tag == "script" and attrs.get("id") == "charts"
    )
    assert "<" not in charts
    assert "waterfall" in json.loads(charts)


def test_no_markup_can_begin_in_embedded_json():
    text = embedded_json({"a": "</script><!--&"})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "</script><!--&"}


def test_the_policy_admits_exactly_the_scripts_and_styles_of_the_page(trial_page):
    parsed = Elements(trial_page)
    rule = next(a["content"] for t, a in parsed.found if t == "meta" and "http-equiv" in a)
    assert rule.startswith("default-src 'none'; ")
    assert "unsafe-eval" not in rule
    runnable = [(tag, text) for tag, attrs, text in parsed.inside if "type" not in attrs]
    assert [tag for tag, _ in runnable] == ["style", "script"]
    for tag, text in runnable:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in rule


def test_nothing_is_loaded_from_anywhere(trial_page):
    parsed = Elements(trial_page)
    for tag, attrs in parsed.found:
        assert tag not in ("link", "iframe", "object", "embed", "base"), tag
        assert all(
            attrs[name].startswith(("#", "data:")) for name in ("src", "href") if name in attrs
        )


def test_the_script_cannot_end_its_element_early():
    assert "</script" not in drawing_script().lower()
    assert "<!--" not in drawing_script()


def test_a_page_without_charts_has_no_script():
    text = page(content(studies.empty()))
    assert "<script" not in text
    assert "script-src" not in policy("", "")


def test_the_page_of_the_trial_is_below_eight_megabytes(trial_page):
    assert len(trial_page.encode()) < 8_000_000


@pytest.mark.integration
@pytest.mark.parametrize("study", [studies.trial, studies.hostile], ids=["trial", "hostile"])
def test_a_real_browser_draws_every_chart_under_the_policy(study, tmp_path):
    if CHROMIUM is None:
        message = "chromium is not installed; apt-get install chromium"
        if os.environ.get("IGDD_REQUIRE_REFERENCE") == "1":
            pytest.fail(message)
        pytest.skip(message)
    report = tmp_path / "report.html"
    text = page(content(study()))
    report.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
            "--virtual-time-budget=20000", "--dump-dom", report.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    asked = text.count(" data-chart=")
    assert asked >= 4
    assert re.search(r'<html[^>]*class="[^"]*ready', done.stdout)
    assert len(re.findall(r'<div class="chart[^"]* drawn', done.stdout)) == asked
    assert done.stdout.count('<svg xmlns="http://www.w3.org/2000/svg"') >= asked
    assert "chart failed" not in done.stdout
    assert "Refused to" not in done.stderr
    assert "Content Security Policy" not in done.stderr
    assert "alert" not in re.sub(r"alert\(1\)", "", done.stderr)
