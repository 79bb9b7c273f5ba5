"""Keys: kept after asking whose they are, shown to nobody, and the right one counts."""

import io
import os
import subprocess
import sys
import termios
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from comfylock.errors import ConfigInvalidError
from comfylock.hubs import Hub, Secret, Site
from comfylock.userfile import with_key
from comfylock.web.keys import HubKeys
from comfylock.web.origins import CIVITAI_HOSTS, Origin
from tests.standin.server import Standin
from tests.standin_hf.repositories import Shelves
from tests.standin_hf.server import HuggingFaceStandin
from tests.world import CANARY, INK, Ran, World, pin_of

#: A keyring package as small as can be: one JSON file, and a fault when it is told to be locked.
FAKE_KEYRING = """
import json, os, pathlib
from keyring.errors import KeyringError
STORE = pathlib.Path(os.environ["FAKE_KEYRING"])
with STORE.with_name("imports").open("a") as log:
    log.write("imported\\n")
class Backend:
    priority = float(os.environ.get("FAKE_PRIORITY", "5"))
    def _all(self, password=""):
        if os.environ.get("FAKE_LOCKED"):
            raise KeyringError(f"locked: {password}")
        return json.loads(STORE.read_text()) if STORE.exists() else {}
    def get_password(self, service, user):
        return self._all().get(f"{service}/{user}")
    def set_password(self, service, user, password):
        STORE.write_text(json.dumps({**self._all(password), f"{service}/{user}": password}))
    def delete_password(self, service, user):
        kept = self._all()
        del kept[f"{service}/{user}"]
        STORE.write_text(json.dumps(kept))
def get_keyring():
    return Backend()
"""


@pytest.fixture(autouse=True)
def _known_key(hub: Standin) -> None:
    hub.configure(keys=(CANARY,))


@pytest.fixture
def hugging_face(world: World) -> Iterator[HuggingFaceStandin]:
    with HuggingFaceStandin(Shelves.of(), keys=(CANARY,)) as standin:
        world.environment["HF_ENDPOINT"] = standin.url
        yield standin


@pytest.fixture
def keyring(world: World) -> Path:
    """Put a keyring package on the path of the world; return the file that it keeps keys in."""
    package = world.root / "site" / "keyring"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE_KEYRING)
    (package / "errors.py").write_text("class KeyringError(Exception): pass\n")
    world.environment["PYTHONPATH"] += f":{package.parent}"
    store = world.root / "store.json"
    world.environment["FAKE_KEYRING"] = str(store)
    return store


def feed(world: World, text: str, *arguments: str, **variables: str) -> Ran:
    """Run the command line with a text on its standard input."""
    with mock.patch.object(sys, "stdin", io.StringIO(text)):
        ran = world.here(*arguments, **variables)
    assert CANARY not in ran.text
    return ran


def feed_process(world: World, text: str, *arguments: str, **variables: str) -> Ran:
    """Do the same in a process of its own, which finds the world's packages."""
    done = subprocess.run(
        world.command(*arguments),
        env=world.environment | variables,
        cwd=world.project,
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    ran = Ran(code=done.returncode, out=done.stdout, err=done.stderr)
    assert CANARY not in ran.text
    return ran


def config(world: World) -> Path:
    return world.root / "config" / "config.toml"


def files_with_the_key(world: World) -> list[str]:
    """Return every file of the world that holds the key."""
    return [
        str(path.relative_to(world.root))
        for path in sorted(world.root.rglob("*"))
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]


def used(world: World) -> set[str | None]:
    """Return the Authorization headers of all requests to the hub so far."""
    return {entry.headers.get("authorization") for entry in world.hub.requests}


# ------------------------------------------------------------------------------- login


def test_a_piped_key_is_checked_and_kept_where_only_its_owner_can_read_it(world: World) -> None:
    ran = feed_process(world, f"{CANARY}\n", "auth", "login")
    assert ran.code == 0
    assert "Signed in to Civitai as standin" in ran.err
    assert files_with_the_key(world) == ["config/config.toml"]
    assert config(world).stat().st_mode & 0o777 == 0o600
    assert config(world).parent.stat().st_mode & 0o077 == 0
    assert [entry.path for entry in world.hub.requests] == ["/api/v1/me"]
    assert used(world) == {f"Bearer {CANARY}"}


def test_a_wrong_key_is_refused_and_not_kept(world: World) -> None:
    world.hub.configure(keys=("another",))
    ran = feed(world, CANARY, "auth", "login", "civitai", "-")
    assert ran.code == 1
    assert "error[auth-required]" in ran.err
    assert files_with_the_key(world) == []


def test_a_hub_that_cannot_be_asked_keeps_nothing_unless_offline_says_so(world: World) -> None:
    world.hub.stop()
    assert feed(world, CANARY, "auth", "login").code == 2
    assert files_with_the_key(world) == []
    ran = feed(world, CANARY, "auth", "login", "--offline")
    assert (ran.code, "Nobody asked Civitai" in ran.err) == (0, True)
    assert files_with_the_key(world) == ["config/config.toml"]


def test_hugging_face_is_asked_in_its_own_way(
    world: World, hugging_face: HuggingFaceStandin
) -> None:
    ran = feed(world, CANARY, "auth", "login", "huggingface")
    assert (ran.code, "Signed in to Hugging Face as standin" in ran.err) == (0, True)
    assert [entry.path for entry in hugging_face.requests] == ["/api/whoami-v2"]
    assert world.hub.requests == ()
    assert tomllib.loads(config(world).read_text()) == {"huggingface-key": CANARY}
    bad = feed(world, "other-key", "auth", "login", "huggingface")
    assert (bad.code, "error[auth-required]" in bad.err) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [["login", CANARY], ["login", "civitai", CANARY], ["logout", CANARY], ["status", CANARY]],
)
def test_a_key_on_the_command_line_is_refused_and_not_repeated(
    world: World, arguments: list[str]
) -> None:
    ran = feed(world, "", "auth", *arguments)
    assert ran.code == 2
    assert "never goes on the command line" in ran.err
    assert feed(world, "", "auth", "login", f"--token={CANARY}").code == 2


@pytest.mark.parametrize("text", ["", "\n", "two words\n"])
def test_what_cannot_be_a_key_is_refused(world: World, text: str) -> None:
    assert feed(world, text, "auth", "login").code == 2
    assert not config(world).exists()


def test_a_typed_key_is_not_echoed(world: World) -> None:
    main, terminal = os.openpty()
    process = subprocess.Popen(
        world.command("auth", "login"),
        env=world.environment,
        cwd=world.project,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    asked = ""
    while "Key for Civitai" not in asked:
        asked += process.stderr.read(1)
    while termios.tcgetattr(terminal)[3] & termios.ECHO:
        time.sleep(0.01)  # what is typed before is thrown away
    os.write(main, f"{CANARY}\n".encode())
    out, err = process.communicate(timeout=30)
    os.set_blocking(main, False)
    os.close(terminal)
    try:
        echoed = os.read(main, 1000)
    except OSError:
        echoed = b""
    os.close(main)
    assert process.returncode == 0
    assert CANARY not in f"{out}{asked}{err}{echoed!r}"
    assert asked.startswith("A key for Civitai is made at https://civitai.com/user/account\n")
    assert "Signed in to Civitai as standin" in err


def test_comments_of_the_file_survive_and_a_wide_mode_is_narrowed(world: World) -> None:
    config(world).parent.mkdir()
    before = "# mine\njobs = 2  # slow line\n"
    config(world).write_text(before)
    config(world).chmod(0o644)
    assert feed(world, CANARY, "auth", "login").code == 0
    assert config(world).read_text().startswith(before)
    assert config(world).stat().st_mode & 0o777 == 0o600
    assert feed(world, "", "auth", "logout").code == 0
    assert config(world).read_text() == before


def test_a_file_that_cannot_be_edited_is_left_alone(world: World) -> None:
    config(world).parent.mkdir()
    broken = f'civitai-key = "{CANARY}\n'
    config(world).write_text(broken)
    ran = feed(world, "", "auth", "logout", "civitai")
    assert (ran.code, config(world).read_text()) == (2, broken)


def test_an_edit_changes_nothing_but_the_key() -> None:
    key = Secret('with"quote\\and#hash')
    text = with_key('# top\r\nhuggingface-key = "h"\r\n', Site.CIVITAI, key)
    assert tomllib.loads(text) == {"huggingface-key": "h", "civitai-key": key.reveal()}
    assert text.startswith('# top\r\nhuggingface-key = "h"\r\n')
    assert with_key(text, Site.CIVITAI, None) == '# top\r\nhuggingface-key = "h"\r\n'
    with pytest.raises(ConfigInvalidError):
        with_key("a = ", Site.CIVITAI, key)


# ---------------------------------------------------------------------- status and logout


def test_variables_win_and_status_says_which_key_counts(world: World) -> None:
    feed(world, CANARY, "auth", "login")
    ran = feed(world, "", "auth", "status", "--json", CIVITAI_API_KEY=CANARY, CIVITAI_TOKEN="x")
    assert ran.document["keys"] == [
        {
            "site": "civitai",
            "counts": "CIVITAI_TOKEN",
            "places": ["CIVITAI_TOKEN", "CIVITAI_API_KEY", "config.toml"],
            "exposed": False,
            "usable": True,
        },
        {
            "site": "huggingface",
            "counts": None,
            "places": [],
            "exposed": False,
            "usable": None,
        },
    ]
    text = feed(world, "", "auth", "status", CIVITAI_TOKEN="x")
    assert "the key in CIVITAI_TOKEN counts; also in config.toml, not used" in text.out
    assert "counts instead" in feed(world, CANARY, "auth", "login", CIVITAI_TOKEN="x").err
    left = feed(world, "", "auth", "logout", "civitai", CIVITAI_TOKEN="x")
    assert "CIVITAI_TOKEN still holds a key" in left.err


def test_status_says_that_the_key_of_a_variable_cannot_be_used(world: World) -> None:
    quotes = {"CIVITAI_TOKEN": f"\u201c{CANARY}\u201d"}
    ran = feed(world, "", "auth", "status", **quotes)
    assert "the key in CIVITAI_TOKEN counts and cannot be used" in ran.out
    assert "warning: CIVITAI_TOKEN is empty or holds a blank or a character" in ran.err
    assert CANARY not in ran.text
    document = feed(world, "", "auth", "status", "--json", **quotes).document
    assert document["keys"][0]["usable"] is False


def test_a_key_that_others_can_read_is_a_warning(world: World) -> None:
    feed(world, CANARY, "auth", "login")
    config(world).chmod(0o644)
    assert "others can read the key" in feed(world, "", "auth", "status").err


def test_a_kept_key_is_the_one_that_requests_carry(world: World) -> None:
    feed(world, CANARY, "auth", "login")
    world.hub.clear_requests()
    world.lock(pin_of(INK))
    assert feed(world, "", "install").code == 0
    by_origin = {entry.origin: entry.headers.get("authorization") for entry in world.hub.requests}
    assert by_origin == {"api": f"Bearer {CANARY}", "storage": None}


def test_logout_removes_the_key_and_says_when_there_was_none(world: World) -> None:
    feed(world, CANARY, "auth", "login")
    ran = feed(world, "", "auth", "logout", "civitai")
    assert (ran.code, "Removed the key for Civitai from config.toml" in ran.err) == (0, True)
    assert files_with_the_key(world) == []
    assert "keeps no key for Civitai" in feed(world, "", "auth", "logout", "civitai").err


# ------------------------------------------------------------------------------- keyring


def imports(keyring: Path) -> int:
    log = keyring.with_name("imports")
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_keyring_that_works_keeps_the_key_and_requests_use_it(
    world: World, keyring: Path
) -> None:
    config(world).parent.mkdir()
    config(world).write_text('civitai-key = "an-older-one"\n')
    assert "kept in your keyring" in feed_process(world, CANARY, "auth", "login").err
    assert files_with_the_key(world) == [keyring.name]
    assert config(world).read_text() == ""
    assert "the key in keyring counts" in feed_process(world, "", "auth", "status").out
    world.hub.clear_requests()
    world.lock(pin_of(INK))
    assert feed_process(world, "", "install").code == 0
    assert f"Bearer {CANARY}" in used(world)
    removed = feed_process(world, "", "auth", "logout", "civitai")
    assert "from keyring" in removed.err
    assert files_with_the_key(world) == []


def test_a_keyring_is_not_touched_without_need(world: World, keyring: Path) -> None:
    """Not by an install with nothing to fetch, and not where another key counts."""
    world.lock(pin_of(INK))
    assert feed_process(world, "", "install", CIVITAI_TOKEN=CANARY).code == 0
    assert feed_process(world, "", "install").code == 0
    assert feed_process(world, "", "status").code == 0
    assert imports(keyring) == 0


@pytest.mark.parametrize("variable", ["FAKE_LOCKED", "FAKE_PRIORITY"])
def test_a_keyring_that_does_not_work_is_passed_over(
    world: World, keyring: Path, variable: str
) -> None:
    world.environment[variable] = "0"
    assert feed_process(world, CANARY, "auth", "login").code == 0
    assert files_with_the_key(world) == ["config/config.toml"]
    world.lock(pin_of(INK))
    feed_process(world, "", "auth", "status")
    assert feed_process(world, "", "install").code == 0


def test_keys_go_to_exact_origins_and_the_keyring_is_asked_once() -> None:
    asked: list[Site] = []

    def stored(site: Site) -> Secret | None:
        asked.append(site)
        return Secret(CANARY) if site is Site.CIVITAI else None

    keys = HubKeys(Hub(), stored)
    assert keys.get(Origin("https", "b2.civitai.com", 443)) is None
    assert keys.get(Origin("http", "civitai.com", 80)) is None
    assert (asked, list(keys), len(keys)) == ([], [], 0)
    for host in CIVITAI_HOSTS:
        assert keys[Origin("https", host, 443)].reveal() == CANARY
    assert keys.get(Origin("https", "huggingface.co", 443)) is None
    assert keys.get(Origin("https", "huggingface.co", 443)) is None
    assert asked == [Site.CIVITAI, Site.HUGGINGFACE]
    assert {origin.host for origin in keys} == CIVITAI_HOSTS
