"""What holds for every lock: its text says all of it, and strangers' text cannot break in."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from comfylock.artifacts import CivitaiSource, HuggingFaceSource, UrlSource
from comfylock.errors import ComfylockError
from comfylock.hashes import Digests
from comfylock.lockfile.file import parse_lock, render_lock
from comfylock.lockfile.model import (
    Evidence,
    Lock,
    Pin,
    WorkflowEntry,
    lock_from_dict,
    lock_to_dict,
    unsafe_path_reason,
)
from comfylock.names import collision_form, unsafe_reason

SHA = "0123456789abcdef" * 4
KEY = "loras/x.safetensors"
GOOD = (
    f'version = 1\n[model."{KEY}"]\nsize = 5\nsha256 = "{SHA}"\nevidence = "hash"\nsources = []\n'
)


def texts(alphabet: str = "") -> st.SearchStrategy[str]:
    return st.text(max_size=12) if not alphabet else st.text(alphabet, min_size=1, max_size=8)


hex64 = st.text("0123456789abcdef", min_size=64, max_size=64)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map(
    lambda text: text.replace("/", "_")
)
keys = (
    st.builds(
        lambda folder, parts, ending: "/".join([folder, *parts]) + ending,
        st.sampled_from(["loras", "checkpoints", "vae"]),
        st.lists(names, min_size=1, max_size=3),
        st.sampled_from([".safetensors", ".pt", ".GGUF"]),
    )
    .filter(lambda key: unsafe_reason(key) is None)
)  # fmt: skip
ids = st.integers(1, 2**63 - 1)
sources = st.one_of(
    st.builds(CivitaiSource, model=ids, version=ids, file=ids),
    st.builds(
        HuggingFaceSource,
        repo=st.just("a/b"),
        revision=st.text("0123456789abcdef", min_size=40, max_size=40),
        file=names.filter(lambda n: n.isprintable() and n not in {".", ".."}),
    ),
    st.builds(UrlSource, url=texts("abc012-~%é").map(lambda t: f"https://x.org/{t}")),
)
scalars = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False), texts(),
    st.dates(), st.times().map(lambda t: t.replace(tzinfo=None)), st.datetimes(),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
    max_leaves=6,
)


def unknown(known: set[str]) -> st.SearchStrategy[tuple[tuple[str, object], ...]]:
    free = texts().filter(lambda key: key not in known)
    return st.dictionaries(free, values, max_size=2).map(lambda d: tuple(sorted(d.items())))


PIN_KEYS = {
    "size", "sha256", "blake3", "format", "evidence", "name", "base-model", "aliases", "sources",
}  # fmt: skip
paths = names.filter(lambda name: unsafe_path_reason(name) is None)


@st.composite
def pins(draw: st.DrawFn, key: str) -> Pin:
    name = key.partition("/")[2]
    aliases = (name.replace("/", "\\"),) if "/" in name and draw(st.booleans()) else ()
    return Pin(
        key=key,
        size=draw(st.none() | st.integers(1, 2**63 - 1)),
        digests=Digests(sha256=draw(hex64), blake3=draw(st.none() | hex64)),
        evidence=draw(st.sampled_from(Evidence)),
        format=draw(st.sampled_from(["safetensors", "gguf", "pickle"])),
        aliases=aliases,
        name=draw(st.none() | texts()),
        base_model=draw(st.none() | texts()),
        sources=tuple(draw(st.lists(sources, max_size=2))),
        unknown=draw(unknown(PIN_KEYS)),
    )


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    chosen = draw(st.lists(keys, max_size=3, unique_by=collision_form))
    found = draw(st.lists(paths, max_size=2, unique=True))
    entries = {
        path: WorkflowEntry(
            path=path,
            models=tuple(draw(st.lists(st.sampled_from(chosen), max_size=3)) if chosen else ()),
            unresolved=tuple(draw(st.lists(names, max_size=2))),
            unknown=draw(unknown({"models", "unresolved"})),
        )
        for path in found
    }
    return Lock(
        inputs=tuple(found),
        workflows=entries,
        models={key: draw(pins(key)) for key in chosen},
        unknown=draw(unknown({"version", "inputs", "workflow", "model"})),
    )


@settings(max_examples=60, deadline=None)
@given(locks())
def test_text_of_any_lock_is_read_back_as_the_same_value_and_written_as_the_same_text(lock):
    text = render_lock(lock)
    again = parse_lock(text, "comfy.lock")
    assert again == lock
    assert render_lock(again) == text
    assert lock_from_dict(lock_to_dict(lock)) == lock


def backwards(value: object) -> object:
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(part) for part in value] if isinstance(value, list) else value


@settings(max_examples=40, deadline=None)
@given(locks())
def test_text_does_not_depend_on_the_order_of_tables(lock):
    data = backwards(lock_to_dict(lock))
    assert isinstance(data, dict)
    assert render_lock(lock_from_dict(data)) == render_lock(lock)


def outcome(act: Callable[[], Lock]) -> Lock | ComfylockError:
    try:
        return act()
    except ComfylockError as error:
        return error


SOURCE_KEYS = ("model", "version", "file", "repo", "revision", "url")
json_like = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
    max_leaves=8,
)
lock_like = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={
        "inputs": json_like,
        "workflow": st.dictionaries(
            texts(), json_like | st.fixed_dictionaries({"models": json_like}), max_size=2
        ),
        "model": st.dictionaries(
            keys | texts(),
            st.fixed_dictionaries(
                {"sha256": hex64 | json_like, "evidence": st.just("hash")},
                optional={
                    "size": json_like,
                    "aliases": json_like,
                    "sources": st.lists(
                        st.fixed_dictionaries(
                            {"type": st.sampled_from(["civitai", "huggingface", "url"])},
                            optional=dict.fromkeys(SOURCE_KEYS, json_like),
                        )
                    ),
                },
            ),
            max_size=2,
        ),
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(lock_like | st.dictionaries(texts(), json_like, max_size=3))
def test_arbitrary_tables_give_a_lock_with_safe_keys_or_one_of_our_errors(data):
    lock = outcome(lambda: lock_from_dict(data))
    if isinstance(lock, ComfylockError):
        assert lock.message.isprintable()
        return
    assert all(unsafe_reason(key) is None for key in lock.models)
    assert len({collision_form(key) for key in lock.models}) == len(lock.models)
    assert {key for entry in lock.workflows.values() for key in entry.models} <= set(lock.models)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_text_gives_a_lock_or_one_of_our_errors(data):
    text = GOOD + '[workflow."a.json"]\nmodels = ["loras/x.safetensors"]\n'
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    middle = data.draw(
        st.text(max_size=6) | st.sampled_from(['"', "[", "]]", "{", "'''", ".", "="])
    )
    found = outcome(lambda: parse_lock(text[:start] + middle + text[end:], "comfy.lock"))
    assert isinstance(found, Lock) or found.exit_code == 2


url_starts = st.sampled_from(["https://", "http://", "https:", "//", "https://a@"])


@given(st.builds(lambda start, rest: start + rest, url_starts, texts()) | texts())
def test_any_text_as_address_is_taken_or_refused_with_our_error(url):
    data = {"type": "url", "url": url}
    pin = {"sha256": SHA, "evidence": "hash", "sources": [data]}
    lock = outcome(lambda: lock_from_dict({"version": 1, "model": {KEY: pin}}))
    if isinstance(lock, ComfylockError):
        return
    assert lock.models[KEY].sources == (UrlSource(url=url),)
    assert url.startswith("https://")
