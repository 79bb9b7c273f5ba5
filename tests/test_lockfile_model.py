"""What may stand in comfy.lock: every field of the format, and a corpus of refused locks."""

from dataclasses import replace

import pytest

from comfylock.artifacts import (
    CivitaiSource,
    FileId,
    HuggingFaceSource,
    ModelId,
    UrlSource,
    VersionId,
)
from comfylock.errors import LockInvalidError, LockVersionError
from comfylock.hashes import Digests
from comfylock.lockfile.file import parse_lock, render_lock
from comfylock.lockfile.model import (
    FORMATS,
    Evidence,
    Lock,
    Pin,
    WorkflowEntry,
)
from comfylock.lockfile.sources import read_source
from comfylock.toml import Table, TomlError

SHA = "0123456789abcdef" * 4
BLAKE = "fedcba9876543210" * 4
KEY = "loras/x.safetensors"

HEAD = "version = 1\n"
GOOD_FIELDS = f'size = 5\nsha256 = "{SHA}"\nevidence = "hash"\nsources = []\n'
GOOD = f'{HEAD}[model."{KEY}"]\n{GOOD_FIELDS}'


def with_fields(fields: str, key: str = KEY) -> str:
    return f'{HEAD}[model."{key}"]\nsha256 = "{SHA}"\nevidence = "hash"\n{fields}\n'


def with_source(source: str) -> str:
    return with_fields(f"sources = [{{ {source} }}]")


def with_key(key: str) -> str:
    return with_fields("", key=key)


MODEL = f'model."{KEY}"'
AT_URL = f"{MODEL}.sources[0].url"
BAD_LOCKS = {
    "empty file": ("", "version: missing"),
    "version is text": ('version = "1"', 'version: expected a whole number, found "1"'),
    "version is true": ("version = true", "version: expected a whole number, found true"),
    "version is zero": ("version = 0", "version: expected 1, found 0"),
    "no TOML": (HEAD + "models", "at the end: "),
    "cut short": (HEAD + 'inputs = ["a', "at the end: Unterminated string"),
    "duplicate table": (
        GOOD + f'[model."{KEY}"]\n{GOOD_FIELDS}',
        f"line 7: {MODEL}: a table or key that was already given above",
    ),
    "duplicate key": (
        GOOD + "size = 6\n",
        f"line 7: {MODEL}.size: a table or key that was already given above",
    ),
    "duplicate list": (
        GOOD + "sources = [\n{ type = 'x' },\n]\nsources = [\n]\n",
        f"line 9: {MODEL}.sources: a table or key that was already given above",
    ),
    "duplicate key at the top": (
        HEAD + "inputs = []\ninputs = []",
        "at the end: inputs: a table or key that was already given above",
    ),
    "table in place of a value": (
        GOOD + f"[{MODEL}.size]\n",
        f"line 7: {MODEL}.size: a table or key that was already given above",
    ),
    "huge number": (HEAD + "x = " + "9" * 5000, "a value cannot be read: "),
    "deep list": (HEAD + "x = " + "[" * 5000, "tables or lists are nested too deeply"),
    "nested list": (
        HEAD + "x = " + "[" * 40 + "]" * 40,
        "tables or lists are nested more than 32 deep",
    ),
    "long key": (HEAD + ".".join("a" * 20_000) + " = 1", "line 2: a key of more than 100 parts"),
    "long quoted key": (
        HEAD + ".".join(['"a"'] * 20_000) + " = 1",
        "line 2: a key of more than 100 parts",
    ),
    "long key behind a multi-line string": (
        HEAD + "x = ['''\n' ''', {" + ".".join("a" * 20_000) + " = 1}, \"'\"]",
        "line 3: a key of more than 100 parts",
    ),
    "inputs is text": (HEAD + 'inputs = "x"', 'inputs: expected a list, found "x"'),
    "inputs holds a number": (HEAD + 'inputs = ["a", 5]', "inputs[1]: expected a text, found 5"),
    "absolute input": (
        HEAD + 'inputs = ["/home/me"]',
        "inputs: \"/home/me\": it is not relative to the lock's folder",
    ),
    "input upwards": (
        HEAD + 'inputs = ["../x"]',
        "inputs: \"../x\": it leads out of the lock's folder",
    ),
    "model is a list": (HEAD + "model = []", "model: expected a table, found a list"),
    "model holds a text": (
        HEAD + '[model]\n"loras/x.pt" = "y"',
        'model."loras/x.pt": expected a table, found "y"',
    ),
    "array of models": (HEAD + "[[model]]", "model: expected a table, found a list"),
    "workflow is a number": (HEAD + "workflow = 1", "workflow: expected a table, found 1"),
    "workflow without models": (
        HEAD + '[workflow."a.json"]\nunresolved = []',
        'workflow."a.json".models: missing',
    ),
    "models is text": (
        HEAD + '[workflow."a.json"]\nmodels = "x"',
        'workflow."a.json".models: expected a list, found "x"',
    ),
    "dangling reference": (
        HEAD + '[workflow."a.json"]\nmodels = ["loras/y.pt"]',
        'workflow."a.json".models: "loras/y.pt" has no [model] table',
    ),
    "empty unresolved": (
        HEAD + '[workflow."a.json"]\nmodels = []\nunresolved = [""]',
        'workflow."a.json".unresolved: holds an empty text',
    ),
    "absolute workflow": (
        HEAD + '[workflow."/a.json"]\nmodels = []',
        "workflow.\"/a.json\": it is not relative to the lock's folder",
    ),
    "workflow on a drive": (
        HEAD + '[workflow."C:a.json"]\nmodels = []',
        "workflow.\"C:a.json\": it is not relative to the lock's folder",
    ),
    "workflow upwards": (
        HEAD + '[workflow."a/../../b.json"]\nmodels = []',
        "workflow.\"a/../../b.json\": it leads out of the lock's folder",
    ),
    "workflow with backslash": (
        HEAD + "[workflow.'a\\b.json']\nmodels = []",
        'workflow."a\\\\b.json": it holds a backslash; parts are divided by /',
    ),
    "workflow with escape": (
        HEAD + '[workflow."a\\u001b.json"]\nmodels = []',
        'workflow."a\\x1b.json": it holds a control character',
    ),
    "workflow without name": (
        HEAD + '[workflow.""]\nmodels = []',
        "workflow.\"\": it has an empty or '.' part",
    ),
    "key upwards": (
        with_key("loras/../x.pt"),
        "model.\"loras/../x.pt\": it has an empty, '.' or '..' part",
    ),
    "key without folder": (with_key("x.pt"), "model.\"x.pt\": 'x.pt' is not a ComfyUI folder"),
    "key with drive": (
        with_key("loras/C:x.pt"),
        'model."loras/C:x.pt": it holds one of < > : " | ? * \\',
    ),
    "device name": (
        with_key("loras/nul.pt"),
        "model.\"loras/nul.pt\": 'nul.pt' is a device name on Windows",
    ),
    "no model": (
        with_key("loras/run.py"),
        'model."loras/run.py": it does not end in a model extension',
    ),
    "own folder": (
        with_key("loras/.comfylock/x.pt"),
        "model.\"loras/.comfylock/x.pt\": '.comfylock' is no folder for models",
    ),
    "legacy folder": (
        with_key("unet/x.safetensors"),
        'model."unet/x.safetensors": the folder unet is called diffusion_models in a lock',
    ),
    "case collision": (
        GOOD + f'[model."loras/X.safetensors"]\n{GOOD_FIELDS}',
        'model."loras/X.safetensors": the same file as "loras/x.safetensors" on a disk',
    ),
    "no hash": (
        f'{HEAD}[model."{KEY}"]\nevidence = "hash"',
        f"{MODEL}.sha256: missing, and so is blake3: one of them must be there",
    ),
    "hash is a number": (
        f'{HEAD}[model."{KEY}"]\nsha256 = 5',
        f"{MODEL}.sha256: expected a text, found 5",
    ),
    "upper-case hash": (
        f'{HEAD}[model."{KEY}"]\nsha256 = "{SHA.upper()}"',
        f'{MODEL}.sha256: expected 64 lower-case hex digits, found "{SHA.upper()}"',
    ),
    "short hash": (
        with_fields('blake3 = "abc"'),
        f'{MODEL}.blake3: expected 64 lower-case hex digits, found "abc"',
    ),
    "size is true": (
        with_fields("size = true"),
        f"{MODEL}.size: expected a whole number, found true",
    ),
    "size is zero": (
        with_fields("size = 0"),
        f"{MODEL}.size: expected a number of bytes above 0, found 0",
    ),
    "size is a fraction": (
        with_fields("size = 1.5"),
        f"{MODEL}.size: expected a whole number, found 1.5",
    ),
    "size is absurd": (
        with_fields("size = " + "9" * 60),
        f"{MODEL}.size: expected a number of bytes above 0, found a huge number",
    ),
    "no evidence": (
        f'{HEAD}[model."{KEY}"]\nsha256 = "{SHA}"',
        f"{MODEL}.evidence: missing",
    ),
    "odd evidence": (
        f'{HEAD}[model."{KEY}"]\nsha256 = "{SHA}"\nevidence = "luck"',
        f"{MODEL}.evidence: expected one of {', '.join(Evidence)}, found " + '"luck"',
    ),
    "odd format": (
        with_fields('format = "exe"'),
        f"{MODEL}.format: expected one of {', '.join(FORMATS)}, found " + '"exe"',
    ),
    "name is a date": (
        with_fields("name = 2020-01-01"),
        f"{MODEL}.name: expected a text, found a date or time",
    ),
    "alias without backslash": (
        with_fields('aliases = ["x.safetensors"]'),
        f'{MODEL}.aliases: "x.safetensors" is no spelling of this name with \\',
    ),
    "alias of another name": (
        with_fields("aliases = ['a\\x.safetensors']"),
        f'{MODEL}.aliases: "a\\\\x.safetensors" is no spelling of this name with \\',
    ),
    "sources is a table": (
        with_fields("sources = {}"),
        f"{MODEL}.sources: expected a list, found a table",
    ),
    "source is a text": (
        with_fields('sources = ["https://x.org"]'),
        f'{MODEL}.sources[0]: expected a table, found "https://x.org"',
    ),
    "source without type": (with_source("model = 1"), f"{MODEL}.sources[0].type: missing"),
    "source of odd type": (
        with_source('type = "ftp"'),
        f'{MODEL}.sources[0].type: expected one of civitai, huggingface, url, found "ftp"',
    ),
    "civitai without file": (
        with_source('type = "civitai", model = 1, version = 2'),
        f"{MODEL}.sources[0].file: missing",
    ),
    "negative id": (
        with_source('type = "civitai", model = -1, version = 2, file = 3'),
        f"{MODEL}.sources[0].model: expected an id above 0, found -1",
    ),
    "branch for a commit": (
        with_source('type = "huggingface", repo = "a/b", revision = "main", file = "c"'),
        f"{MODEL}.sources[0].revision: expected the 40 lower-case hex digits of a commit, found",
    ),
    "repository upwards": (
        with_source(f'type = "huggingface", repo = "a/..", revision = "{SHA[:40]}", file = "c"'),
        f'{MODEL}.sources[0].repo: expected a repository such as owner/name, found "a/.."',
    ),
    "file upwards": (
        with_source(f'type = "huggingface", repo = "a/b", revision = "{SHA[:40]}", file = "../c"'),
        f'{MODEL}.sources[0].file: expected a path inside the repository, found "../c"',
    ),
    "plain http": (
        with_source('type = "url", url = "http://x.org/y"'),
        f"{AT_URL}: the address must begin with https://",
    ),
    "file address": (
        with_source('type = "url", url = "file:///etc/passwd"'),
        f"{AT_URL}: the address names no host, or none in plain letters",
    ),
    "password in the address": (
        with_source('type = "url", url = "https://me:pw@x.org/y"'),
        f"{AT_URL}: the address holds a user name or password",
    ),
    "token in the address": (
        with_source('type = "url", url = "https://x.org/y?a=1&Token=s3cret"'),
        f'{AT_URL}: the query holds a key or signature ("Token")',
    ),
    "signed address": (
        with_source('type = "url", url = "https://x.org/y?X-Amz-Signature=s3cret"'),
        f'{AT_URL}: the query holds a key or signature ("X-Amz-Signature")',
    ),
    "newline in the address": (
        with_source('type = "url", url = "https://x.org/\\ny"'),
        f"{AT_URL}: the address holds a control character, a blank or a backslash",
    ),
    "broken host": (
        with_source('type = "url", url = "https://[x"'),
        f"{AT_URL}: the address cannot be understood",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_LOCKS)
def test_bad_lock_is_refused_naming_the_place_in_the_file(name):
    text, expected = BAD_LOCKS[name]
    with pytest.raises(LockInvalidError) as caught:
        parse_lock(text, "comfy.lock")
    assert caught.value.message.startswith(f"comfy.lock: {expected}")
    assert caught.value.exit_code == 2
    assert caught.value.message.isprintable()
    assert "s3cret" not in caught.value.message


def test_newer_version_asks_for_an_upgrade_before_anything_else_is_judged():
    with pytest.raises(LockVersionError) as caught:
        parse_lock("version = 2\nmodel = 5", "comfy.lock")
    assert caught.value.message == ("comfy.lock: version: 2 is newer than this comfylock reads (1)")
    assert "Upgrade" in (caught.value.hint or "")


def test_all_fields_are_read():
    lock = parse_lock(
        HEAD
        + f"""
inputs = ["workflows", "."]
[workflow."a.json"]
models = ["{KEY}", "{KEY}"]
unresolved = ["loras/gone", "embeddings/e"]
[model."{KEY}"]
size = 9
sha256 = "{SHA}"
blake3 = "{BLAKE}"
evidence = "pinned"
format = "pickle"
name = "X"
base-model = "SDXL"
aliases = []
sources = [
  {{ type = "civitai", model = 1, version = 2, file = 3 }},
  {{ type = "huggingface", repo = "a/b", revision = "{SHA[:40]}", file = "c/d.pt" }},
  {{ type = "url", url = "https://x.org/y?download=true" }},
  {{ type = "url", url = "http://127.0.0.1:8000/y" }},
]
""",
        "comfy.lock",
    )
    assert lock == Lock(
        inputs=(".", "workflows"),
        workflows={
            "a.json": WorkflowEntry(
                path="a.json", models=(KEY,), unresolved=("embeddings/e", "loras/gone")
            )
        },
        models={
            KEY: Pin(
                key=KEY,
                size=9,
                digests=Digests(sha256=SHA, blake3=BLAKE),
                evidence=Evidence.PINNED,
                format="pickle",
                name="X",
                base_model="SDXL",
                sources=(
                    CivitaiSource(model=ModelId(1), version=VersionId(2), file=FileId(3)),
                    HuggingFaceSource(repo="a/b", revision=SHA[:40], file="c/d.pt"),
                    UrlSource(url="https://x.org/y?download=true"),
                    UrlSource(url="http://127.0.0.1:8000/y"),
                ),
            )
        },
    )
    assert lock.warnings == ()


def test_lock_of_nothing_but_a_version_is_empty():
    assert parse_lock(HEAD, "comfy.lock") == Lock(inputs=(), workflows={}, models={})


def test_model_that_no_workflow_needs_is_tolerated():
    assert list(parse_lock(GOOD, "comfy.lock").models) == [KEY]


def test_unknown_keys_are_kept_and_told_of_once():
    text = with_source('type = "url", url = "https://x.org/y", mirror = true').replace(
        HEAD, f'{HEAD}revision = 3\n[workflow."a.json"]\nmodels = []\nnote = "n"\n'
    )
    lock = parse_lock(text + "[tool.x]\nzulu = 1\nalpha = { b = [1, { c = 2 }] }\n", "comfy.lock")
    told = f'revision, tool, workflow."a.json".note, {MODEL}.sources[].mirror'
    assert lock.warnings == (
        f"keys that this comfylock does not know are kept as they are: {told}",
    )
    again = parse_lock(render_lock(lock), "comfy.lock")
    assert again == lock
    assert "[tool.x]\nzulu = 1\n" in render_lock(lock)


def test_warnings_are_no_part_of_the_value():
    lock = Lock(inputs=(), workflows={}, models={})
    assert replace(lock, warnings=("w",)) == lock


def test_unresolved_names_are_recorded_as_they_may_be_printed():
    entry = WorkflowEntry(path="a.json", models=(), unresolved=("loras/\x1b[2J",))
    assert entry.unresolved == ("loras/\\x1b[2J",)


def test_whether_a_character_may_stand_in_a_source_depends_on_no_unicode_version():
    """U+0378 belongs to nothing yet, and a later Python may know what it is."""
    table = Table({"type": "url", "url": "https://example.org/a\u0378"}, "model.x.sources[0]")
    assert read_source(table)[0] == UrlSource(url="https://example.org/a\u0378")
    hidden = Table({"type": "url", "url": "https://example.org/a\u202e"}, "model.x.sources[0]")
    with pytest.raises(TomlError):
        read_source(hidden)
