"""Settings: what each place may say, which of them counts, and how keys are kept unreadable."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock.config import (
    MAX_CONFIG_BYTES,
    ModelWish,
    ProjectConfig,
    UserConfig,
    cache_dir,
    config_dir,
    read_project_config,
    read_user_config,
)
from comfylock.errors import ConfigInvalidError
from comfylock.hubs import Hub, Secret, hub_from_environment, is_loopback, may_fetch
from comfylock.settings import (
    Aliases,
    Choices,
    Formats,
    LinkMode,
    Settings,
    choices_from_environment,
    choose_settings,
)

EXAMPLE = """
workflows = ["workflows"]
exclude = ["workflows/scratch/**"]
[models."loras/style/ink-wash.safetensors"]
pin = "civitai:1180233"
[models."loras/my-face-v3.safetensors"]
local = true                    # private: pin by hash, never search for it
[ignore]
refs = ["loras/None"]
[folders]                       # inputs of custom nodes that comfylock does not know
"MyLoader.lora_file" = "loras"
[lock]
evidence = ["hash", "embedded", "known", "filename"]   # what may pin without asking
formats = "warn"                # pickle formats: deny | warn | allow
"""


@pytest.fixture
def project(tmp_path):
    def read(text: str) -> ProjectConfig:
        (tmp_path / "comfylock.toml").write_text(text, encoding="utf-8")
        return read_project_config(tmp_path / "comfylock.toml")

    return read


@pytest.fixture
def user(tmp_path):
    def read(text: str) -> UserConfig:
        (tmp_path / "config.toml").write_text(text, encoding="utf-8")
        return read_user_config(tmp_path / "config.toml")

    return read


def test_example_of_a_project_file_is_read(project):
    assert project(EXAMPLE) == ProjectConfig(
        workflows=("workflows",),
        exclude=("workflows/scratch/**",),
        models={
            "loras/style/ink-wash.safetensors": ModelWish(pin="civitai:1180233"),
            "loras/my-face-v3.safetensors": ModelWish(local=True),
        },
        ignore=("loras/None",),
        folders={"MyLoader.lora_file": "loras"},
        evidence=("hash", "embedded", "known", "filename"),
        formats=Formats.WARN,
    )


def test_missing_files_say_nothing(tmp_path):
    assert read_project_config(tmp_path / "x") == ProjectConfig(
        workflows=(), exclude=(), models={}, ignore=(), folders={}
    )
    assert read_user_config(tmp_path / "x") == UserConfig(
        models_dirs=(), extra_model_paths=(), allow_hosts=(), hub=Hub()
    )


@pytest.mark.parametrize("text", ["inactive = true", "[lock]\ninactive = true"])
def test_inactive_may_stand_at_the_top_or_in_the_lock_table(project, text):
    assert project(text).inactive is True


def test_names_are_taken_as_keys_spell_them(project):
    config = project(
        "[models.'unet\\sub\\x.gguf']\nlocal = true\n[ignore]\nrefs = ['clip\\*']\n"
        '[folders]\n"Node.v1.file" = "clip"'
    )
    assert list(config.models) == ["diffusion_models/sub/x.gguf"]
    assert config.ignore == ("text_encoders/*",)
    assert config.folders == {"Node.v1.file": "text_encoders"}


def test_address_with_its_digest_is_a_wish(project):
    text = f'[models."loras/x.pt"]\npin = "https://x.org/x.pt"\nsha256 = "{"AB" * 32}"'
    wish = project(text).models["loras/x.pt"]
    assert wish == ModelWish(pin="https://x.org/x.pt", sha256="ab" * 32)


BAD_PROJECTS = {
    "slip": ('workflow = ["x"]', "workflow: is no setting; did you mean workflows?"),
    "unlike anything": (
        "zzz = 1",
        "zzz: is no setting; there are workflows, exclude, models, ignore, folders, lock, ",
    ),
    "slip in a table": (
        "[lock]\nformat = 'warn'",
        "lock.format: is no setting; did you mean formats?",
    ),
    "slip in a wish": (
        '[models."loras/x"]\npins = "1"',
        'models."loras/x".pins: is no setting; did you mean pin?',
    ),
    "slip in ignore": ("[ignore]\nref = []", "ignore.ref: is no setting; did you mean refs?"),
    "setting out of its table": ('formats = "deny"', "formats: belongs into the table [lock]"),
    "hosts": (
        'allow-hosts = ["evil.example"]',
        "allow-hosts: only your own config.toml may say this, not a project's file",
    ),
    "hub": (
        'civitai-url = "https://evil.example"',
        "civitai-url: only your own config.toml may say this, not a project's file",
    ),
    "key": (
        'civitai_key = "s3cret"',
        "civitai_key: only your own config.toml may say this, not a project's file",
    ),
    "models folder": (
        'models-dirs = ["/etc"]',
        "models-dirs: only your own config.toml may say this, not a project's file",
    ),
    "load": ("jobs = 64", "jobs: only your own config.toml may say this, not a project's file"),
    "said twice": (
        "inactive = true\n[lock]\ninactive = false",
        "lock.inactive: is also said at the top of the file, as inactive",
    ),
    "absolute path": (
        'workflows = ["/home/me"]',
        "workflows: \"/home/me\": a project's file may not hold absolute paths",
    ),
    "drive": (
        'exclude = ["C:x"]',
        "exclude: \"C:x\": a project's file may not hold absolute paths",
    ),
    "home": (
        'workflows = ["~/x"]',
        "workflows: \"~/x\": a project's file may not hold absolute paths",
    ),
    "upwards": ('workflows = ["../x"]', 'workflows: "../x" leads out of the project'),
    "backslash": (
        "workflows = ['a\\b']",
        'workflows: "a\\\\b" is no path with / between its parts',
    ),
    "no list": ('workflows = "x"', 'workflows: expected a list, found "x"'),
    "odd policy": (
        "[lock]\nformats = 'ask'",
        'lock.formats: expected one of deny, warn, allow, found "ask"',
    ),
    "odd evidence": (
        "[lock]\nevidence = ['guess']",
        "lock.evidence: expected some of hash, embedded, pinned, known, filename, local, found",
    ),
    "empty wish": (
        '[models."loras/x"]',
        'models."loras/x": say either pin = "…" or local = true',
    ),
    "wish without folder": (
        "[models.x]\nlocal = true",
        "models.x: a model is named as folder/name",
    ),
    "one model twice": (
        '[models."unet/x"]\nlocal = true\n[models."diffusion_models/x"]\nlocal = true',
        'models."diffusion_models/x": the same model as another one of [models]',
    ),
    "pin of a file here": (
        '[models."loras/x"]\npin = "/home/me/x.pt"',
        "models.\"loras/x\".pin: a project's file may not hold absolute paths; say local = true",
    ),
    "size of no local file": (
        '[models."loras/x"]\nlocal = true\nsize = 5',
        'models."loras/x".size: goes with the sha256 of a file that is local = true',
    ),
    "short digest": (
        '[models."loras/x"]\npin = "https://x.org/y"\nsha256 = "ab"',
        'models."loras/x".sha256: expected 64 hex digits, found "ab"',
    ),
    "input without quotes": (
        '[folders]\nMyLoader.file = "loras"',
        'folders.MyLoader: write the node and its input in quotes: "Node.input" = "loras"',
    ),
    "input without node": (
        '[folders]\nfile = "loras"',
        "folders.file: a place is named as Node.input",
    ),
    "folder upwards": (
        '[folders]\n"A.b" = "../x"',
        'folders."A.b": expected a ComfyUI folder such as loras, found "../x"',
    ),
    "bad value at the top beside a lock table": (
        "aliases = 'x'\n[lock]\nformats = 'warn'",
        'aliases: expected one of link, off, found "x"',
    ),
    "no TOML": ("workflows = [", "at the end: "),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_PROJECTS)
def test_bad_project_file_is_refused_naming_the_place(project, name):
    text, expected = BAD_PROJECTS[name]
    with pytest.raises(ConfigInvalidError) as caught:
        project(text)
    assert caught.value.message.startswith(f"comfylock.toml: {expected}")
    assert caught.value.exit_code == 2
    assert "s3cret" not in caught.value.message


def test_user_file_may_say_what_a_project_may_not(user, tmp_path):
    config = user(
        f'models-dirs = ["{tmp_path}/models", "more"]\nextra-model-paths = ["paths.yaml"]\n'
        'allow-hosts = ["Files.Example.org"]\nformats = "deny"\nlink-mode = "symlink"\njobs = 2\n'
        'connections = 1\naliases = "off"\ncivitai-key = "s3cret"\n'
        'huggingface-url = "https://hf.example/"'
    )
    assert config == UserConfig(
        models_dirs=(tmp_path / "models", tmp_path / "more"),
        extra_model_paths=(tmp_path / "paths.yaml",),
        allow_hosts=("files.example.org",),
        hub=Hub(civitai_key=Secret("s3cret"), huggingface_url="https://hf.example"),
        formats=Formats.DENY,
        link_mode=LinkMode.SYMLINK,
        jobs=2,
        connections=1,
        aliases=Aliases.OFF,
    )
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize("text", ['models-dir = "more"', 'models-dir = ["more"]'])
def test_user_file_may_name_the_models_folder_as_the_option_does(user, tmp_path, text):
    assert user(text).models_dirs == (tmp_path / "more",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("job = 1", "config.toml: job: is no setting; did you mean jobs?"),
        (
            'models-dir = "a"\nmodels-dirs = ["b"]',
            "config.toml: models-dir: say either this or models-dirs",
        ),
        ("jobs = 0", "config.toml: jobs: expected a number from 1 to 64, found 0"),
        ("jobs = true", "config.toml: jobs: expected a whole number, found true"),
        ('models-dirs = [""]', "config.toml: models-dirs: holds an empty path"),
        (
            'allow-hosts = ["https://x.org/"]',
            'config.toml: allow-hosts: "https://x.org/" is no host such as example.org',
        ),
        (
            'civitai-url = "http://x.org"',
            "civitai-url in config.toml: the address must begin with https://",
        ),
        (
            'civitai-key = "s3cret two"',
            "civitai-key in config.toml is empty or holds a blank or a character outside ASCII",
        ),
    ],
)
def test_bad_user_file_is_refused_naming_the_place(user, text, expected):
    with pytest.raises(ConfigInvalidError) as caught:
        user(text)
    assert caught.value.message == expected


def test_unreadable_files_are_refused(tmp_path):
    path = tmp_path / "comfylock.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigInvalidError, match="is not UTF-8"):
        read_project_config(path)
    path.write_bytes(b"#" * (MAX_CONFIG_BYTES + 1))
    with pytest.raises(ConfigInvalidError, match="has more than 1048576 bytes"):
        read_project_config(path)
    with pytest.raises(ConfigInvalidError, match="cannot be read"):
        read_project_config(tmp_path)


@given(st.text(max_size=60) | st.sampled_from(EXAMPLE.splitlines()).map(lambda line: line * 2))
def test_any_text_is_a_project_file_or_refused_with_our_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read_project_config(path)
    except ConfigInvalidError:
        return


def test_flag_beats_variable_beats_project_beats_user_beats_default():
    flags = Choices(formats=Formats.DENY)
    variables = Choices(formats=Formats.ALLOW, jobs=1)
    project = Choices(jobs=2, inactive=False)
    user = Choices(inactive=True, connections=3)
    assert choose_settings(flags, variables, project, user) == Settings(
        formats=Formats.DENY, jobs=1, inactive=False, connections=3
    )
    assert choose_settings() == Settings()


def test_variables_are_read_as_their_settings():
    env = {
        "COMFYLOCK_FORMATS": "deny",
        "COMFYLOCK_ALIASES": " off ",
        "COMFYLOCK_INACTIVE": "1",
        "COMFYLOCK_EVIDENCE": "hash, known",
        "COMFYLOCK_LINK_MODE": "copy",
        "COMFYLOCK_JOBS": "1",
        "COMFYLOCK_CONNECTIONS": "",
        "COMFYLOCK_OTHER": "x",
    }
    assert choices_from_environment(env) == Choices(
        formats=Formats.DENY,
        aliases=Aliases.OFF,
        inactive=True,
        evidence=("hash", "known"),
        link_mode=LinkMode.COPY,
        jobs=1,
    )


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("COMFYLOCK_JOBS", "many", 'COMFYLOCK_JOBS: expected a whole number, found "many"'),
        ("COMFYLOCK_JOBS", "99", "COMFYLOCK_JOBS: expected a number from 1 to 64, found 99"),
        ("COMFYLOCK_INACTIVE", "2", 'COMFYLOCK_INACTIVE: expected true or false, found "2"'),
        (
            "COMFYLOCK_LINK_MODE",
            "move",
            f'COMFYLOCK_LINK_MODE: expected one of {", ".join(LinkMode)}, found "move"',
        ),
    ],
)
def test_bad_variable_is_named(variable, text, expected):
    with pytest.raises(ConfigInvalidError) as caught:
        choices_from_environment({variable: text})
    assert caught.value.message == expected


def test_hubs_are_the_public_ones_unless_said_otherwise():
    assert hub_from_environment({}) == Hub(
        civitai_url="https://civitai.com", huggingface_url="https://huggingface.co"
    )


def test_hubs_and_keys_come_from_the_environment_before_the_user_file():
    said = Hub(civitai_key=Secret("old"), huggingface_url="https://hf.example")
    hub = hub_from_environment(
        {
            "COMFYLOCK_CIVITAI_URL": "http://127.0.0.1:8080/",
            "CIVITAI_TOKEN": " ",
            "CIVITAI_API_KEY": " new\n",
            "CIVITAI_API_TOKEN": "third",
        },
        otherwise=said,
    )
    assert hub == Hub(
        civitai_url="http://127.0.0.1:8080",
        huggingface_url="https://hf.example",
        civitai_key=Secret("new"),
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://civitai.com",
        "ftp://civitai.com",
        "https://me:pw@civitai.com",
        "https://",
        "civitai.com",
        "https://civitai.com/?x=1",
        "https://civitai.com\\.evil.example",
        "https://civitai.com/a b",
        "https://[::1",
        "https://x:99999",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.256",
        "http://2130706433",
    ],
)
def test_address_that_is_no_safe_base_is_refused(url):
    with pytest.raises(ConfigInvalidError, match="COMFYLOCK_CIVITAI_URL: the address") as caught:
        hub_from_environment({"COMFYLOCK_CIVITAI_URL": url})
    assert "pw" not in caught.value.message


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.8.9.10", "http://[::1]:80", "https://x.org/base"]
)
def test_https_and_this_machine_are_taken(url):
    assert hub_from_environment({"HF_ENDPOINT": url}).huggingface_url == url


@pytest.mark.parametrize(
    ("host", "expected"), [("LOCALHOST", True), ("127.0.0.1", True), ("128.0.0.1", False)]
)
def test_this_machine_is_known_by_its_names(host, expected):
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Files.example.org/x.pt", True),
        ("https://files.example.org:8443/x.pt", True),
        ("https://example.net:8443/x.pt", True),
        ("https://example.net/x.pt", False),
        ("https://files.example.org.evil.example/x.pt", False),
        ("http://127.0.0.1:9/x.pt", False),
        ("http://127.0.0.1.evil.example/x.pt", False),
    ],
)
def test_plain_address_is_fetched_from_allowed_hosts_alone(url, expected):
    assert may_fetch(url, frozenset({"files.example.org", "example.net:8443"})) is expected


def test_key_shows_itself_nowhere():
    key = Secret(" s3cret\n")
    shown = [str(key), repr(key), f"{key}", f"{key:>10}", f"{key!r}", "%s" % key, str([key])]  # noqa: UP031
    assert not any("s3cret" in text for text in shown)
    assert key.reveal() == "s3cret"
    assert (key, hash(key)) == (Secret("s3cret"), hash(Secret("s3cret")))
    assert key != "s3cret"


@pytest.mark.parametrize("text", ["", " ", "“s3cret”", "s3\ncret", "s3\x00cret", "s3 cret"])
def test_text_that_no_header_can_carry_is_no_key_and_not_repeated(text):
    with pytest.raises(ConfigInvalidError, match="CIVITAI_TOKEN is empty or holds") as caught:
        Secret(text, name="CIVITAI_TOKEN")
    assert "s3" not in caught.value.message


def test_own_folders_follow_the_variables():
    env = {"COMFYLOCK_CACHE_DIR": "/c", "COMFYLOCK_CONFIG_DIR": "/d", "HOME": "/h"}
    assert (cache_dir(env), config_dir(env)) == (Path("/c"), Path("/d"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the folders of Linux")
def test_own_folders_follow_the_xdg_rules():
    env = {"HOME": "/h", "XDG_CACHE_HOME": "/x", "XDG_CONFIG_HOME": "not/absolute"}
    assert cache_dir(env) == Path("/x/comfylock")
    assert config_dir(env) == Path("/h/.config/comfylock")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the folders of Linux")
def test_own_folders_are_those_that_platformdirs_knows():
    script = (
        "import os, platformdirs; from comfylock.config import cache_dir, config_dir;"
        "dirs = platformdirs.PlatformDirs('comfylock', appauthor=False);"
        "assert cache_dir(os.environ) == dirs.user_cache_path;"
        "assert config_dir(os.environ) == dirs.user_config_path"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={"HOME": "/home/someone"})
