"""`comfylock diff`: what a reviewer is told of a changed lock, from files and from git."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from comfylock.artifacts import UrlSource
from comfylock.git import Repository
from comfylock.hashes import Digests
from comfylock.lockfile.model import Evidence, Lock, Pin
from comfylock.lockfile.review import Alarm, review_locks
from comfylock.lockfile.text import render_lock
from comfylock.operations.diff import Diffed, Side
from comfylock.report.diff import diff_page
from comfylock.report.markdown import code, plain
from tests.overviews import civitai, hosted, lock_of, pinned

KEY = "loras/ink.safetensors"
OLD = pinned(KEY, 1_000_000, civitai(7), name="Ink / v1")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def put(path: Path, *pins: Pin, **needs: list[str]) -> None:
    path.write_text(render_lock(lock_of(pins, needs or {})), "utf-8")


@pytest.fixture
def repository(world):
    """A git repository whose only commit has a lock with one pin."""
    git(world.project, "init", "-q", "-b", "main")
    put(world.lock_path, OLD, **{"w.json": [KEY]})
    git(world.project, "add", ".")
    git(world.project, "commit", "-q", "-m", "lock")
    return world


def alarms(old: Lock, new: Lock) -> set[Alarm]:
    return {alarm for one in review_locks(old, new).models for alarm in one.alarms}


def changed(**facts: object) -> set[Alarm]:
    """Return the alarms when the one pin of a lock changes in these facts."""
    new = replace(OLD, **facts)  # type: ignore[arg-type]
    return alarms(lock_of([OLD], {}), lock_of([new], {}))


OTHER = Digests(sha256="1" * 64, blake3="2" * 64)

# ------------------------------------------------------------------------------------ alarms


def test_an_ordinary_new_version_raises_no_alarm():
    newer = replace(civitai(7), version=civitai(9).version, file=civitai(9).file)

    assert changed(digests=OTHER, sources=(newer,), size=1_100_000) == set()


def test_other_bytes_under_the_same_civitai_file_are_the_loudest_alarm():
    assert changed(digests=OTHER) == {Alarm.HASH_CHANGED}


def test_they_are_found_under_another_key_too():
    moved = replace(OLD, key="loras/other.safetensors", digests=OTHER)

    assert Alarm.HASH_CHANGED in alarms(lock_of([OLD], {}), lock_of([moved], {}))


def test_a_new_host_and_a_new_source_of_the_same_bytes():
    mirror = UrlSource(url="https://mirror.example.org/ink.safetensors")

    assert changed(sources=(civitai(7), mirror)) == {Alarm.NEW_HOST, Alarm.NEW_SOURCE}


def test_another_model_page():
    assert changed(digests=OTHER, sources=(civitai(8),)) == {Alarm.OTHER_PLACE}


def test_a_guess_by_file_name():
    assert changed(evidence=Evidence.FILENAME) == {Alarm.FILENAME}


def test_a_source_that_is_gone_and_a_hash_that_is_gone():
    assert changed(sources=()) == {Alarm.NO_SOURCE}
    assert changed(digests=replace(OLD.digests, sha256=None)) == {Alarm.WEAKER_HASHES}


def test_a_file_that_has_grown():
    newer = replace(civitai(7), version=civitai(9).version)

    assert changed(digests=OTHER, sources=(newer,), size=2_000_000) == {Alarm.GROWN}


def test_a_new_pickle_and_none_that_was_there_before():
    pickle = pinned("upscale_models/x.pth", 5, civitai(1))
    disguised = replace(OLD, key="loras/x.safetensors", format="pickle")

    assert alarms(lock_of([OLD], {}), lock_of([OLD, pickle, disguised], {})) == {Alarm.PICKLE}
    assert not alarms(lock_of([pickle], {}), lock_of([replace(pickle, name="named")], {}))


# ---------------------------------------------------------------------------------- the text


def test_head_is_compared_with_the_work_tree(repository):
    newer = replace(
        OLD, name="Ink / v2", size=1_200_000, digests=OTHER,
        sources=(replace(civitai(7), version=civitai(9).version),),
    )  # fmt: skip
    paper = pinned("loras/paper.safetensors", 5_000, civitai(3), name="Paper / v1")
    put(repository.lock_path, newer, paper, **{"w.json": [KEY], "v.json": [paper.key]})

    done = repository.here("diff")

    assert (done.code, done.out.splitlines()) == (
        0,
        [
            f"* {KEY}  1 MB -> 1.2 MB (+200 kB)",
            "    name: Ink / v1 -> Ink / v2",
            "    source: civitai version 70 (file 700) -> civitai version 90 (file 700)",
            "    in w.json",
            "+ loras/paper.safetensors  Paper / v1  5 kB",
            "    civitai version 30 (file 300), by hash",
            "    in v.json",
            "+ v.json",
            "    + loras/paper.safetensors",
        ],
    )
    assert done.err.strip() == "1 added, 1 repinned; 1 MB -> 1.21 MB in all (+205 kB)"
    assert not any(digest in done.text for digest in (OTHER.sha256, OLD.digests.sha256))


def test_nothing_changed_is_one_line_and_no_answer_of_no(repository):
    done = repository.here("diff", "--exit-code")

    assert (done.code, done.out, done.err.strip()) == (0, "", "No difference")


def test_exit_code_says_that_anything_differs(repository):
    put(repository.lock_path)

    assert repository.here("diff").code == 0
    done = repository.here("diff", "--exit-code", "--json")
    assert (done.code, done.document["summary"]["removed"]) == (1, 1)


def test_sides_are_files_folders_revisions_or_paths_in_revisions(repository):
    other = repository.root / "other"
    other.mkdir()
    put(other / "comfy.lock", OLD)
    git(repository.project, "tag", "v1")
    put(repository.lock_path, replace(OLD, name="Ink"))

    for side in (
        str(other),
        str(other / "comfy.lock"),
        "v1",
        "HEAD:comfy.lock",
        "main:./comfy.lock",
    ):
        done = repository.here("diff", side, "--format", "json")
        assert [one["ref"] for one in done.document["changes"]] == [KEY], side
    assert repository.here("diff", "v1", "HEAD").err.strip() == "No difference"


def test_a_lock_below_the_top_of_the_repository_is_found(repository):
    deep = repository.project / "deep"
    deep.mkdir()
    put(deep / "comfy.lock", OLD)
    git(repository.project, "add", ".")
    git(repository.project, "commit", "-q", "-m", "deep")
    put(deep / "comfy.lock")

    done = repository.here("diff", "--lockfile", str(deep / "comfy.lock"))

    assert done.out.startswith(f"- {KEY}")


def test_a_lock_that_was_never_committed_is_all_new(repository):
    git(repository.project, "rm", "-q", "--cached", "comfy.lock")
    git(repository.project, "commit", "-q", "-m", "gone")

    done = repository.here("diff")

    assert done.out.startswith(f"+ {KEY}")
    assert "There is no HEAD:comfy.lock: taken for empty" in done.err


def test_a_renamed_lock_is_compared_with_what_it_was_called(repository):
    git(repository.project, "mv", "comfy.lock", "models.lock")
    renamed = ("--lockfile", "models.lock")

    lost = repository.here("diff", *renamed)
    named = repository.here("diff", "HEAD:./comfy.lock", *renamed)

    assert "There is no HEAD:models.lock: taken for empty" in lost.err
    assert "hint: If it had another name there, say so: `comfylock diff REV" in lost.err
    assert (named.out, named.err) == ("", "No difference\n")


def test_without_git_or_a_repository_the_next_step_is_told(world):
    put(world.lock_path, OLD)

    outside = world.here("diff")
    without = world.here("diff", PATH=str(world.root))

    assert (outside.code, without.code) == (2, 2)
    assert outside.err.splitlines()[0].endswith("lies in no git repository")
    assert "git is not installed" in without.err
    for done in (outside, without):
        assert "hint: Name two files instead: `comfylock diff OLD.lock NEW.lock`" in done.err


def test_a_repository_without_a_commit_says_so(world):
    git(world.project, "init", "-q")
    put(world.lock_path, OLD)

    assert "git has no commit yet" in world.here("diff").err


def test_a_word_that_is_no_revision_is_no_option_either(repository):
    victim = repository.project / "victim"

    for word in ("nowhere", f"--output={victim}", "-p"):
        done = repository.here("diff", "--", word)
        assert (done.code, "is neither a file nor a revision" in done.err) == (2, True), word
    assert not victim.exists()


def test_no_more_is_read_of_a_file_than_a_lock_may_have(repository):
    git_there = Repository(folder=repository.project, environment=repository.environment)
    (repository.project / "big").write_text("x" * 3_000_000, "utf-8")
    git(repository.project, "add", ".")
    git(repository.project, "commit", "-q", "-m", "big")

    assert git_there.read("HEAD", "big", 1_000) == b"x" * 1_001


def test_a_side_that_is_no_lock_is_named(repository):
    repository.lock_path.write_text("version = 1\n[model.x]\n", "utf-8")

    assert "error[lock-invalid]: comfy.lock: " in repository.here("diff").err
    git(repository.project, "add", ".")
    git(repository.project, "commit", "-q", "-m", "broken")
    assert "error[lock-invalid]: HEAD:comfy.lock: " in repository.here("diff").err


# ------------------------------------------------------------------------------ pull requests


def page(old: Lock, new: Lock) -> str:
    return "\n".join(diff_page(_diffed(old, new), markdown=True, exit_code=False).out)


def _diffed(old: Lock, new: Lock) -> Diffed:
    return Diffed(
        old=Side(label="HEAD:comfy.lock", lock=old),
        new=Side(label="comfy.lock", lock=new),
        review=review_locks(old, new),
    )


def rendered(markdown: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


def test_the_comment_is_one_table_with_links_made_of_ids():
    newer = replace(OLD, digests=OTHER, size=3_000_000, sources=(civitai(8),))
    text = page(lock_of([OLD], {"w.json": [KEY]}), lock_of([newer], {"w.json": [KEY]}))
    html = rendered(text)

    assert text.splitlines()[0] == ("### `comfy.lock`: 1 repinned; 1 MB → 3 MB in all (+2 MB)")

    assert html.count("<table>") == 1
    assert 'href="https://civitai.com/models/8?modelVersionId=80"' in html
    assert "1 MB → 3 MB (+2 MB)" in html
    assert "comes from another model page" in html


def test_other_bytes_under_the_same_ids_open_the_comment_with_a_caution():
    text = page(lock_of([OLD], {}), lock_of([replace(OLD, digests=OTHER)], {}))

    assert text.splitlines()[2] == "> [!CAUTION]"
    assert "Do not merge" in text


EVIL = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))",
    "](javascript:1)", "`</td>`", "a | b", "@everyone", "#123", "www.evil.example",
    "https://evil.example", "**bold**", "![x](https://evil.example/x.png)", "a\n\n# head",
    "a\r\n| x |", "\u202egpj", "\\", "&lt;b&gt;", "<!--", "$$x$$", "~~x~~", "1. x", "- x",
)  # fmt: skip


def comment_about(text: str) -> str:
    """Return the comment on a lock in which every foreign text holds this one."""
    pin = pinned("loras/a.safetensors", 5, civitai(1), name=text, base_model=text)
    path = f"w {text}.json".replace("\n", " ").replace("\r", " ")
    return page(lock_of([], {}), lock_of([pin], {path: [pin.key]}, {path: [f"x/{text}"]}))


def tags(html: str) -> list[str]:
    """Return every tag in order, but those of code spans."""
    return [tag for tag in re.findall(r"<[^>]*>", html) if tag not in {"<code>", "</code>"}]


@pytest.mark.parametrize("text", EVIL)
def test_no_name_becomes_a_tag_a_link_a_mention_or_a_border(text):
    comment = comment_about(text)
    html = rendered(comment)

    assert tags(html) == tags(rendered(comment_about("harmless")))
    assert "\u202e" not in html
    spans_removed = re.sub(r"<code>.*?</code>", "", html)
    assert not re.search(r"@\w|#\d|www\.\w", spans_removed)


def test_a_reference_that_nobody_asks_for_any_more_is_told(repository):
    """Else a workflow would be listed without a word of what changed in it."""
    old = lock_of([OLD], {"w.json": [KEY]}, {"w.json": ["loras/gone.pt", "embeddings/Found"]})
    found = pinned("embeddings/Found.safetensors", 5, civitai(9))
    new = lock_of([OLD, found], {"w.json": [KEY, found.key]})

    text = "\n".join(diff_page(_diffed(old, new), markdown=False, exit_code=False).out)

    assert "    - loras/gone.pt  unresolved before, and no longer asked for" in text
    assert "embeddings/Found  unresolved" not in text
    assert "no longer unresolved `loras/gone.pt`" in page(old, new)


@given(st.text(max_size=60))
def test_a_text_in_markdown_reads_as_it_is_written(text):
    """Whatever it is, it becomes one paragraph of text or one code span, without any tag."""
    for made in (plain(text), code(text)):
        if not made.strip():
            continue
        tokens = MarkdownIt("commonmark", {"html": True}).parse(f"x {made} x")
        assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
        children = tokens[1].children or []
        assert {child.type for child in children} <= {"text", "text_special", "code_inline"}


def test_the_document_tells_all_of_it(repository):
    put(repository.lock_path, replace(OLD, digests=OTHER), **{"w.json": [KEY]})

    document = json.loads(repository.here("diff", "--format", "json").out)

    assert document["old"] == "HEAD:comfy.lock"
    [change] = document["changes"]
    assert (change["ref"], change["change"], change["repinned"]) == (KEY, "updated", True)
    assert [alarm["slug"] for alarm in change["alarms"]] == ["hash-changed"]
    assert change["workflows"] == ["w.json"]
    assert document["summary"]["alarms"] == 1


# -------------------------------------------------------------------------------- git merges


def branches(world, ours: list[Pin], theirs: list[Pin]) -> "subprocess.CompletedProcess[str]":
    """Merge two branches of a repository that uses the merge driver."""
    project = world.project
    driver = f"{' '.join(world.command('merge-driver', '%O', '%A', '%B'))}"
    git(project, "config", "merge.comfylock.driver", driver)
    (project / ".gitattributes").write_text("comfy.lock merge=comfylock\n", "utf-8")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "attributes")
    git(project, "checkout", "-q", "-b", "theirs")
    put(world.lock_path, *theirs)
    git(project, "commit", "-q", "-a", "-m", "theirs")
    git(project, "checkout", "-q", "main")
    put(world.lock_path, *ours)
    git(project, "commit", "-q", "-a", "-m", "ours")
    return subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "merge", "theirs"],
        cwd=project, env=world.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_git_merges_locks_entry_by_entry(repository):
    paper = pinned("loras/paper.safetensors", 5, civitai(3))
    brush = pinned("loras/brush.safetensors", 5, hosted("a/b", "brush.safetensors"))

    done = branches(repository, [OLD, paper], [OLD, brush])

    assert done.returncode == 0, done.stderr
    expected = render_lock(lock_of([OLD, paper, brush], {}))
    assert repository.lock_path.read_text("utf-8") == expected


def test_a_real_conflict_stays_in_the_file_with_markers(repository):
    other = replace(OLD, digests=Digests(sha256="3" * 64), sources=())

    done = branches(repository, [replace(OLD, digests=OTHER, sources=())], [other])

    assert done.returncode == 1
    assert f"both sides of the merge pin these models differently:\n  {KEY}\n" in done.stderr
    text = repository.lock_path.read_text("utf-8")
    assert all(marker in text for marker in ("<<<<<<< ours", "=======", ">>>>>>> theirs"))
