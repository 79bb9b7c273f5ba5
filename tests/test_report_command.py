"""`comfylock report`: one page for people, which no name can break and which loads nothing."""

import base64
import hashlib
import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from comfylock.errors import Problem
from comfylock.operations.report import Overview
from comfylock.operations.status import State
from comfylock.report.overview.markdown import markdown_report
from comfylock.report.overview.style import STYLE
from comfylock.report.overview.webpage import webpage
from tests.browser import HAS_CHROMIUM, chromium
from tests.overviews import atelier, civitai, lock_of, overview_of, pinned, studio
from tests.standin.server import Fault
from tests.world import INK, PAPER, World, bytes_of, pin_of

KEY = "loras/ink.safetensors"


class Reader(HTMLParser):
    """What a browser makes of a page: every tag with its attributes, and the text of each cell."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "wbr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return "".join(self.texts)


# --------------------------------------------------------------------------------- the command


def test_the_report_tells_states_sources_and_what_helps(world):
    world.lock(pin_of(INK), pin_of(PAPER), workflows={"w.json": [KEY]})
    world.put(KEY, bytes_of(INK))

    done = world.here("report", "--offline")

    assert done.code == 0
    assert "1 of 2 models are here; 50 kB to download." in done.out
    assert "`comfylock install`" in done.out
    assert (
        "[Civitai model 1, version 11](https://civitai.com/models/1?modelVersionId=11)" in done.out
    )
    assert world.hub.requests == ()


def test_its_form_follows_from_the_name_of_the_file(world):
    world.lock(pin_of(INK))

    for name, begin in (("r.html", "<!doctype html>"), ("r.md", "# Models of"), ("r.json", "{\n")):
        done = world.here("report", "-o", name)
        assert (done.code, done.out) == (0, "")
        assert (world.project / name).read_text("utf-8").startswith(begin)
        assert f"Wrote {world.project / name}" in done.err
    assert world.here("report", "-o", "r.txt", "--format", "html").code == 0
    assert (world.project / "r.txt").read_text("utf-8").startswith("<!doctype html>")


def test_json_tells_rows_with_pins_and_states(world):
    world.lock(pin_of(INK), workflows={"w.json": [KEY]})

    for arguments in (["--json"], ["--format", "json"]):
        document = json.loads(world.here("report", *arguments).out)
        assert (document["schema"], document["command"], document["ok"]) == (1, "report", True)
        [row] = document["models"]
        assert (row["ref"], row["state"], row["workflows"]) == (KEY, "missing", ["w.json"])
        assert row["pin"]["sources"][0]["version"] == 11
        assert document["summary"]["bytes_to_fetch"] == 300_000


def test_without_a_models_folder_it_tells_what_is_locked(world):
    world.lock(pin_of(INK))

    done = world.here("report", "--json", COMFYLOCK_MODELS_DIR="")

    assert (done.code, done.document["models"][0]["state"]) == (0, None)
    assert "does not say which models are here" in done.err


def test_without_a_lock_there_is_nothing_to_report(world):
    assert world.here("report").code == 2


def test_equal_states_give_equal_bytes():
    assert webpage(atelier()) == webpage(atelier())
    assert markdown_report(atelier()) == markdown_report(atelier())


def test_two_workflows_and_their_models_make_a_matrix():
    page = markdown_report(atelier())

    assert "| `loras/style/ink-wash.safetensors` |  |  |  | ● |  | ● |" in page


# ------------------------------------------------------------------------------------ the page


def test_the_page_forbids_all_that_it_does_not_use():
    """The one style sheet is named by its hash, so not even another style would count."""
    reader = Reader(webpage(atelier()))
    [policy] = [
        one["content"] or ""
        for one in reader.all("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not {"script", "link", "img", "iframe", "object", "form"} & {t for t, _ in reader.tags}
    assert not any("style" in attributes for _, attributes in reader.tags)
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_all_links_are_made_of_ids():
    reader = Reader(webpage(atelier()))
    links = [link for link in reader.all("a") if not (link["href"] or "").startswith("#")]

    assert links
    for link in links:
        assert re.fullmatch(r"https://(civitai\.com|huggingface\.co)/[!-~]+", link["href"] or "")
        assert link["rel"] == "noopener noreferrer nofollow"


def test_each_part_of_the_page_is_linked_at_its_top():
    reader = Reader(webpage(atelier()))
    hrefs = [link["href"] or "" for link in reader.all("a")]
    within = [href[1:] for href in hrefs if href.startswith("#")]

    assert within == ["missing", "folders", "models", "workflows", "matrix", "evidence"]
    assert within == [head["id"] for head in reader.all("h2")]


def test_models_with_one_cure_share_one_piece_of_advice():
    reader = Reader(webpage(studio()))

    assert reader.text.count("comfylock install") == 1
    assert "12 models: nobody has said yet which file is meant" in reader.text
    assert "comfylock pin REF SPEC" in reader.text
    assert "17 models: known by hash alone, without a known source" in reader.text
    assert "and 4 more" in reader.text  # behind a fold, not left out


def test_who_needs_a_model_is_told_beside_it_too():
    reader = Reader(webpage(atelier()))

    assert "needed by 4 workflows" in reader.text
    assert len(reader.all("details")) == len(reader.all("summary"))


def test_headings_of_the_matrix_are_each_their_own():
    pin = pinned(KEY, 5, civitai(1))
    paths = ("a/portrait.json", "b/portrait.json", "b/landscape.json")
    page = webpage(overview_of(lock_of([pin], {path: [KEY] for path in paths}), {}))
    heads = re.findall(r'<div class="across"><bdi>(.*?)</bdi>', page)

    assert [head.replace("<wbr>", "") for head in heads] == [
        "a/portrait.json", "landscape", "b/portrait.json",
    ]  # fmt: skip


def test_a_matrix_that_no_paper_can_hold_says_so_on_paper():
    assert "too wide for paper" in webpage(studio(workflows=61, models=5))
    assert "too wide for paper" not in webpage(studio(workflows=60, models=5))


def test_markdown_of_a_large_project_stays_short_where_it_advises():
    page = markdown_report(studio())
    advice = page.partition("## What is missing")[2].partition("## Where")[0]

    assert "  - and 2 more, which the table of models tells" in advice
    assert len(advice.splitlines()) < 50


def test_tables_and_pictures_can_be_read_without_eyes():
    reader = Reader(webpage(atelier()))

    assert reader.open == []
    assert len(reader.all("table")) == len(reader.all("caption")) == 4
    assert all(one.get("scope") in {"col", "row", "rowgroup"} for one in reader.all("th"))
    assert all(one.get("role") == "img" or one.get("aria-hidden") for one in reader.all("svg"))
    assert [one["lang"] for one in reader.all("html")] == ["en"]
    assert "needed, missing" in reader.text
    assert len(reader.all("h1")) == 1


def test_every_trouble_is_told_with_its_cure():
    text = Reader(webpage(atelier())).text

    for words in (
        "3 models can be installed: 26.4 GB to download",
        "comfylock install --replace --only upscale_models/4x-UltraSharp.pth",
        "comfylock pin loras/add_detail_old.safetensors SPEC",
        "Known by hash alone, without a known source",
        "may run code when loaded",
        "10 of 16 models are here",
    ):
        assert words in text


def test_a_lock_without_models_makes_a_page_too():
    empty = overview_of(lock_of([], {}), {})
    unknown = overview_of(lock_of([pinned(KEY, None)], {}), None)

    for overview in (empty, unknown):
        assert Reader(webpage(overview)).open == []
        assert markdown_report(overview)


_RULE = re.compile(r"--([a-z0-9]+): (#[0-9a-f]{6})")


def _schemes() -> list[dict[str, str]]:
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    return [dict(_RULE.findall(part)) for part in (light, dark)]


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("scheme", _schemes(), ids=["light", "dark"])
def test_every_text_and_picture_stands_out(scheme):
    """WCAG 2.2: 4.5 for text, 3 for pictures."""
    texts = [(ink, ground) for ink in ("ink", "soft", "link") for ground in ("page", "card")]
    texts += [("good", "goodbg"), ("bad", "badbg"), ("warn", "warnbg"), ("calm", "calmbg")]
    texts += [("good", "card"), ("bad", "card")]
    pictures = [(f"f{number}", "card") for number in range(7)]

    for limit, pairs in ((4.5, texts), (3.0, pictures)):
        for ink, ground in pairs:
            assert _contrast(scheme[ink], scheme[ground]) >= limit, (ink, ground)


# ------------------------------------------------------------------------------- hostile names

EVIL = (
    "<script>alert(1)</script>", "</style><script>alert(1)</script>", '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)", "<!--", "]]>", "&lt;img src=x&gt;", "javascript:alert(1)",
    "a\u202egpj.exe", "a\nb\r\nc", "\x1b]0;title\x07", "\x00", "\ufeff", "`code`", "${x}", "{{x}}",
    "\u05d0\u05d1\u05d2", "a" * 300, "<svg onload=alert(1)>", "</bdi></td></table>",
)  # fmt: skip


def hostile(text: str) -> Overview:
    """Return an overview in which every foreign text holds this one."""
    pin = pinned("loras/a.safetensors", 5, civitai(1), name=text, base_model=text)
    other = pinned("loras/b.safetensors", 5)
    problem = Problem(slug="no-source", message=text, hint=f"hint {text}")
    lock = lock_of(
        [pin, other], {f"w/{text}.json": [pin.key, other.key]}, {f"w/{text}.json": [f"x/{text}"]}
    )
    return overview_of(lock, {pin.key: State.MISSING, other.key: problem}, title=text)


def shape(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the tags and the names of their attributes, but for places where a line may break."""
    tags = [tag for tag in Reader(page).tags if tag[0] not in {"wbr", "code"}]
    return [(tag, tuple(attributes)) for tag, attributes in tags]


@pytest.mark.parametrize("text", EVIL)
def test_no_name_changes_the_shape_of_the_page(text):
    page = webpage(hostile(text))

    assert shape(page) == shape(webpage(hostile("harmless")))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\ufeff]", page)


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_any_name_leaves_the_page_whole(text):
    assert shape(webpage(hostile(text))) == shape(webpage(hostile("harmless")))


@pytest.mark.parametrize("text", EVIL)
def test_no_name_breaks_the_markdown(text):
    def tags(page: str) -> list[str]:
        html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)
        return [tag for tag in re.findall(r"<[^>]*>", html) if tag not in {"<code>", "</code>"}]

    assert tags(markdown_report(hostile(text))) == tags(markdown_report(hostile("harmless")))


# ---------------------------------------------------------------------------- a real browser


@pytest.mark.skipif(not HAS_CHROMIUM, reason="chromium is not installed")
def test_a_browser_opens_the_page_and_asks_nobody_for_anything(tmp_path: Path, world: World):
    """The page is hostile, its policy holds, and what it shows is wide as a phone."""
    world.hub.fault(Fault(kind="status", status=500, times=None))
    evil = f"</style><script src='{world.hub.url}/x'></script><img src='{world.hub.url}/y'>"
    path = tmp_path / "report.html"
    path.write_text(webpage(hostile(evil)), "utf-8")

    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-extensions", "--window-size=360,800",
            f"--user-data-dir={tmp_path / 'browser'}", "--enable-logging=stderr", "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert "<h1>Models of" in done.stdout
    assert "<script" not in done.stdout
    assert "Content Security Policy" not in done.stderr
    assert world.hub.requests == ()


def test_names_that_differ_at_their_end_can_be_told_apart_in_the_matrix():
    """Upright headings and rows are cut where there is no more room, and had one beginning."""
    table = webpage(studio()).partition('class="matrix"')[2].partition("</table>")[0]
    plain = re.sub("<[^>]*>", "", table.replace("</th>", "\n").replace("</td>", "\n"))
    names = [line.strip() for line in plain.splitlines() if re.search(r"\d", line)]
    assert len(names) == 60 + 150 + 12
    assert max(map(len, names)) <= len("a b &amp; &lt;c&gt; [d] 102.safetensors") + 10
    assert len(set(names)) == len(names)


@pytest.mark.skipif(not HAS_CHROMIUM, reason="chromium is not installed")
def test_a_matrix_of_a_few_models_is_shown_whole_and_no_option_is_broken(tmp_path: Path):
    path = tmp_path / "report.html"
    path.write_text(webpage(atelier()), "utf-8")

    with chromium(tmp_path / "browser") as browser:
        for width in (360, 1280):
            browser.open(path, width=width, scheme="light")
            assert browser.evaluate(_IS_WHOLE) is True
            assert browser.evaluate(_OPTIONS_IN_ONE_LINE) == [True, True]


_IS_WHOLE = """(() => {
  const frame = document.querySelector('.wide');
  return frame.scrollHeight === frame.clientHeight;
})()"""
_OPTIONS_IN_ONE_LINE = (
    "[...document.querySelectorAll('pre .option')].map((one) => one.offsetHeight < 30)"
)


@pytest.mark.skipif(not HAS_CHROMIUM, reason="chromium is not installed")
def test_sixty_workflows_and_their_models_fit_every_window(tmp_path: Path):
    """Only the matrix scrolls sideways, and its headings stay where they are."""
    path = tmp_path / "report.html"
    path.write_text(webpage(studio()), "utf-8")

    with chromium(tmp_path / "browser") as browser:
        for width in (360, 800, 1400):
            for scheme in ("light", "dark"):
                browser.open(path, width=width, scheme=scheme)
                assert browser.evaluate("document.documentElement.scrollWidth") == width
                assert browser.evaluate(_HEADINGS_STAY) is True, width
                assert browser.evaluate(_BACKGROUND) == _GROUNDS[scheme]
                assert len(browser.said("Network.requestWillBeSent")) == 1
                assert browser.said("Log.entryAdded") == []


_BACKGROUND = "getComputedStyle(document.body).backgroundColor"
_GROUNDS = {"light": "rgb(246, 246, 243)", "dark": "rgb(19, 21, 23)"}
_HEADINGS_STAY = """(() => {
  const frame = document.querySelector('.wide'), head = frame.querySelector('thead th');
  const name = frame.querySelector('tbody tr:nth-child(3) th');
  frame.scrollTop = 400; frame.scrollLeft = 100;
  const [outer, above, beside] = [frame, head, name].map((one) => one.getBoundingClientRect());
  return frame.scrollTop === 400 && outer.height < 900 && above.top === outer.top
    && beside.left === outer.left && beside.width < outer.width * .6 && beside.height < 200;
})()"""
