"""`auth`: a person's key -> the hub's word on it -> the keyring or config.toml; and which counts.

Variables win over config.toml, and that over the keyring. A key that is kept is asked about
first, so that a slip in copying shows now and not in the middle of an install.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from comfylock.config import CONFIG_FILE, config_dir, read_user_config
from comfylock.errors import ConfigInvalidError, FetchError
from comfylock.events import Reporter
from comfylock.hubs import Hub, Secret, Site, hub_from_environment, key_variables
from comfylock.keyrings import KeyringError, open_keyring
from comfylock.userfile import others_can_read, read_user_text, with_key, write_user_text

#: What the user is shown for the keyring, as a place where a key is.
KEYRING = "keyring"


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """Where keys are kept on this machine, and how the hubs are asked.

    Attributes:
        environment: variables of the process.
        reporter: told of retries.
        offline: ask nobody.
    """

    environment: Mapping[str, str]
    reporter: Reporter
    offline: bool

    @property
    def config_path(self) -> Path:
        """The user's own file."""
        return config_dir(self.environment) / CONFIG_FILE


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Where there are keys for a site.

    Attributes:
        site: the hub.
        places: variables, ``config.toml``, ``keyring``; the first is the one that counts.
        exposed: the key's file may be read by others.
        config_path: the user's own file.
        fault: why the keyring could not be asked.
        unusable: why the key that counts can be none, and what to do.
    """

    site: Site
    places: tuple[str, ...]
    exposed: bool
    config_path: Path
    fault: str | None = None
    unusable: str | None = None

    @property
    def counts(self) -> str | None:
        """The place whose key is used."""
        return self.places[0] if self.places else None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """A key that is now kept.

    Attributes:
        site: the hub.
        account: whose key it is, ``None`` when nobody was asked.
        restriction: what the hub says of an account that is not in order.
        kept: ``keyring`` or ``config.toml``.
        config_path: the user's own file.
        overruled_by: a variable or file that counts instead of it.
    """

    site: Site
    account: str | None
    restriction: str | None
    kept: str
    config_path: Path
    overruled_by: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedOut:
    """A site whose keys are no longer kept.

    Attributes:
        site: the hub.
        removed: where there was one.
        left: variables that still hold one.
    """

    site: Site
    removed: tuple[str, ...]
    left: tuple[str, ...]


def login(desk: Desk, site: Site, key: Secret) -> SignedIn:
    """Ask whose key it is, and keep it.

    Raises:
        AuthRequiredError: the hub does not accept it; it is not kept.
        FetchError: the hub could not be asked; it is not kept.
        ConfigInvalidError, PlaceError: config.toml cannot be written.
    """
    account = restriction = None
    if not desk.offline:
        from comfylock.web.account import ask_account

        hub = _hub(desk).with_only_key(site, key)
        answer = ask_account(site, hub, desk.environment, desk.reporter).account
        if isinstance(answer, FetchError):
            raise answer
        account, restriction = answer.name, answer.restriction
    kept = _keep(desk, site, key)
    counts = held(desk, site).counts
    return SignedIn(
        site=site,
        account=account,
        restriction=restriction,
        kept=kept,
        config_path=desk.config_path,
        overruled_by=counts if counts != kept else None,
    )


def _hub(desk: Desk) -> Hub:
    """Return where the hubs are; the keys of now have no say, not even bad ones."""
    addresses = ("COMFYLOCK_CIVITAI_URL", "HF_ENDPOINT")
    environment = {name: desk.environment.get(name, "") for name in addresses}
    return hub_from_environment(environment, read_user_config(desk.config_path).hub)


def _keep(desk: Desk, site: Site, key: Secret) -> str:
    keyring = open_keyring()
    if keyring is not None:
        try:
            keyring.put(site, key)
        except KeyringError:
            pass  # locked, or nobody is there to unlock it: the file serves as well
        else:
            _remove_from_file(desk, site)
            return KEYRING
    text = with_key(read_user_text(desk.config_path), site, key)
    write_user_text(desk.config_path, text)
    return CONFIG_FILE


def logout(desk: Desk, site: Site) -> SignedOut:
    """Remove the key for a site from wherever comfylock keeps one.

    Raises:
        KeyringError, ConfigInvalidError, PlaceError: it may still be there.
    """
    removed = [CONFIG_FILE] if _remove_from_file(desk, site) else []
    keyring = open_keyring()
    if keyring is not None and keyring.remove(site):
        removed.append(KEYRING)
    return SignedOut(site=site, removed=tuple(removed), left=key_variables(desk.environment, site))


def _remove_from_file(desk: Desk, site: Site) -> bool:
    """Remove an older key, which would count before the keyring's; say whether there was one."""
    text = read_user_text(desk.config_path)
    without = with_key(text, site, None)
    if without == text:
        return False
    write_user_text(desk.config_path, without)
    return True


def held(desk: Desk, site: Site) -> Held:
    """Say where there are keys for a site.

    Raises:
        ConfigInvalidError: config.toml cannot be understood.
    """
    places = list(key_variables(desk.environment, site))
    in_file = read_user_config(desk.config_path).hub.key(site) is not None
    if in_file:
        places.append(CONFIG_FILE)
    fault = None
    try:
        keyring = open_keyring()
        if keyring is not None and keyring.get(site) is not None:
            places.append(KEYRING)
    except (KeyringError, ConfigInvalidError) as error:
        fault = error.message
    return Held(
        site=site,
        places=tuple(places),
        exposed=in_file and others_can_read(desk.config_path),
        config_path=desk.config_path,
        fault=fault,
        unusable=_why_unusable(desk, places[:1]),
    )


def _why_unusable(desk: Desk, places: Iterable[str]) -> str | None:
    """Return what is wrong with the key of a variable; elsewhere only good ones are kept."""
    for name in places:
        if name in desk.environment:
            try:
                Secret(desk.environment[name], name=name)
            except ConfigInvalidError as error:
                return f"{error.message}; {(error.hint or '').lower()}"
    return None
