import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from pipeline.report.diagram import lying, standing
from pipeline.report.html import headline, licences, render
from pipeline.report.run import Difference

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """The elements of the page, and whether every one is closed in its order."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.elements = []
        self.words = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def page(run):
    return Page(render(run).decode())


def changed(original, **fields):
    return original.model_copy(update=fields)


def style_sheet(run):
    _, _, rest = render(run).decode().partition("<style>")
    return rest.partition("</style>")[0]


def test_every_element_is_closed(page):
    assert page.open == []


def test_nothing_is_fetched_and_nothing_runs(run, page):
    assert not page.all("script") + page.all("link") + page.all("img") + page.all("iframe")
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on") or a in ("src", "style")]
    assert re.findall(r"(?:href|src|url)\s*[=(]\s*[\"']?(?:https?:|//)", render(run).decode()) == []


def test_the_policy_allows_the_style_sheet_by_hash_and_nothing_else(run, page):
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(style_sheet(run).encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_it_is_made_for_phones_for_both_colour_schemes_and_for_print(page):
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    style = " ".join(page.words)
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    assert "max-width: 44rem" in style


def test_tables_have_captions_and_header_cells_with_a_scope(page):
    assert len(page.all("caption")) == len(page.all("table")) > 0
    assert all(cell.get("scope") in ("row", "col") for cell in page.all("th"))


def test_headings_go_down_one_level_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_drawings_are_described_or_hidden(page):
    for attributes in page.all("svg"):
        assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"


def test_ids_are_used_once_and_sections_are_labelled_by_theirs(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(section["aria-labelledby"] in ids for section in page.all("section"))


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\x1b[2J"


def test_foreign_text_is_text_everywhere(run):
    hostile = changed(
        run,
        app=HOSTILE,
        next=HOSTILE,
        run=HOSTILE,
        steps=[run.steps[0].model_copy(update={"name": HOSTILE, "finding": HOSTILE, "why": HOSTILE}), *run.steps[1:]],
        verdicts=[
            verdict.model_copy(
                update={
                    "environment": HOSTILE,
                    "levels": [HOSTILE],
                    "policy": HOSTILE,
                    "time": HOSTILE,
                    "refusals": [
                        refusal.model_copy(update=dict.fromkeys(("code", "message", "fix", "kind"), HOSTILE))
                        for refusal in verdict.refusals
                    ],
                }
            )
            for verdict in run.verdicts
        ],
        bundles=[
            bundle.model_copy(update=dict.fromkeys(("file", "kind", "signer", "issuer", "digest"), HOSTILE))
            for bundle in run.bundles
        ],
        components=[
            component.model_copy(update={"name": HOSTILE, "version": HOSTILE, "licences": [HOSTILE]})
            for component in run.components
        ],
        reproduction=run.reproduction.model_copy(
            update={
                "first": HOSTILE,
                "second": HOSTILE,
                "shared": [HOSTILE],
                "differences": [Difference(place=HOSTILE, what=HOSTILE, got=HOSTILE, expected=HOSTILE)],
            }
        ),
        audit=run.audit.model_copy(update={"unaudited": {HOSTILE: HOSTILE}, "feeds": [HOSTILE]}),
    )
    text = render(hostile).decode()
    page = Page(text)
    assert not page.all("script") + page.all("img")
    assert not re.search("[\u202e\x1b]", text)
    assert len(page.elements) > 100


def test_the_page_shows_got_expected_and_fix(page):
    words = " ".join(page.words)
    assert "the build workflow on main" in words
    assert "let the release workflow attest: a local instance is trusted for development alone" in words


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda run: {}, ("good", "May run in development. Refused for staging and production.")),
        (lambda run: {"verdicts": run.verdicts[:1]}, ("good", "May run in development.")),
        (
            lambda run: {"verdicts": run.verdicts[1:], "accepted": False},
            ("bad", "May run nowhere. Refused for staging and production."),
        ),
        (lambda run: {"verdicts": [], "accepted": False}, ("warn", "Not judged.")),
    ],
)
def test_the_headline_says_where_the_image_may_run(run, change, told):
    assert headline(changed(run, **change(run))) == told


def test_the_headline_names_what_did_not_pass(run):
    steps = [s.model_copy(update={"result": "crashed"} if s.name in ("types", "tests") else {}) for s in run.steps]
    assert headline(changed(run, steps=steps, verdicts=[])) == ("bad", "Stopped: types and tests did not pass.")
    assert headline(changed(run, steps=steps))[1].endswith("Types and tests did not pass.")


def test_a_run_that_stopped_early_still_has_a_page(run):
    empty = changed(
        run, steps=[], image=None, verdicts=[], bundles=[], components=[], audit=None, artifacts=[], source=None
    )
    assert Page(render(empty).decode()).open == []


def test_both_diagrams_draw_every_environment_inside_their_frame(run):
    for diagram in (lying(run), standing(run)):
        assert [box.value for box in diagram.boxes][-3:] == ["PASSED", "FAILED", "FAILED"]
        assert all(box.x + box.width <= diagram.width and box.y + box.height <= diagram.height for box in diagram.boxes)
        assert all(box.x >= 0 and box.y >= 0 for box in diagram.boxes)


def luminance(colour):
    """WCAG 2.2, "relative luminance"."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(share * channel for share, channel in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_has_contrast_in_both_schemes(run):
    schemes = re.findall(r":root \{(.*?)\}", style_sheet(run), re.DOTALL)[:2]
    for scheme in schemes:
        colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", scheme))
        pairs = [(name, f"{name}-bg") for name in ("good", "warn", "bad", "none")]
        pairs += [(name, ground) for name in ("ink", "soft", "accent", "good", "bad") for ground in ("page", "card")]
        for text, ground in pairs:
            dark, light = sorted((luminance(colour[text]), luminance(colour[ground])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
    assert len(schemes) == 2


def test_lists_in_sentences_have_their_spaces(page):
    assert "2 Debian, 1 Python." in "".join(page.words)
    assert "commit 3f1c9b7e5a, steps passed 10 of 13, image" in page.all("svg")[0]["aria-label"]


def test_licences_are_counted_one_by_one(run):
    assert licences(run) == [("Apache-2.0", 1), ("GPL-2.0-only", 1), ("LGPL-2.1-or-later", 1), ("Zlib", 1)]


def test_one_signer_is_named_once_and_several_beside_their_bundles(run, page):
    assert "pipeline@gatehouse.localhost" in page.words
    assert "signer" not in page.words
    other = run.bundles[0].model_copy(update={"signer": "somebody@else.example"})
    words = Page(render(changed(run, bundles=[other, *run.bundles[1:]])).decode()).words
    assert "signer" in words
    assert "somebody@else.example" in words


def test_what_differs_between_two_builds_is_shown_file_by_file(page):
    words = [word for word in page.words if word.strip()]
    start = words.index("second build", words.index("Built a second time"))
    assert [word for word in words[start + 2 :] if word.strip()][:4] == [
        "linux/amd64 /app/main.py",
        "mode",
        "0600",
        "0644",
    ]
    assert "1 difference" in " ".join(words)


def test_of_many_differences_the_page_says_how_many_it_shows(run):
    differences = [Difference(place=f"/{n}", what="mode", got="1", expected="2") for n in range(200)]
    many = run.reproduction.model_copy(update={"count": 5000, "differences": differences})
    text = render(changed(run, reproduction=many)).decode()
    assert "<summary>Differences, the first 200 of 5000</summary>" in text
    assert "<details>\n<summary>Differences" in text


@pytest.mark.parametrize(
    ("same_digest", "told"), [(True, "the same digest"), (False, "the same files and configuration")]
)
def test_a_second_build_that_agrees_says_in_what(run, same_digest, told):
    same = run.reproduction.model_copy(update={"count": 0, "differences": [], "same_digest": same_digest})
    words = Page(render(changed(run, reproduction=same)).decode()).words
    assert any(word.strip() == told for word in words)
    assert "Built a second time" not in Page(render(changed(run, reproduction=None)).decode()).words
