"""Who says what counts: each setting with the flag, variable or file that it comes from."""

from collections.abc import Iterator
from typing import cast

from comfylock.config import CONFIG_FILE
from comfylock.hubs import Hub
from comfylock.operations.findings import Setting
from comfylock.places import PROJECT_FILE
from comfylock.session import Session
from comfylock.settings import SETTING_KEYS, choices_from_environment

DEFAULT = "default"


def settings_with_origins(session: Session, *, models_flag: bool) -> Iterator[Setting]:
    """Yield the settings as they count here; keys are not among them.

    Args:
        session: whose settings.
        models_flag: the models folder was named on the command line.

    Raises:
        ConfigInvalidError: a file or variable cannot be understood.
        ModelsDirMissingError: no models folder is known; all other settings come before.
    """
    yield from _choices(session)
    yield from _addresses(session)
    origin = _models_origin(session, models_flag=models_flag)
    directories = session.directories
    for path in (directories.primary, *directories.others):
        yield Setting(name="models-dirs", value=str(path), origin=origin)


def _choices(session: Session) -> Iterator[Setting]:
    places = (
        (None, choices_from_environment(session.environment)),
        (PROJECT_FILE, session.project),
        (CONFIG_FILE, session.user),
    )
    for key in SETTING_KEYS:
        field = key.replace("-", "_")
        saying = [place for place, choices in places if getattr(choices, field) is not None]
        origin = saying[0] or f"COMFYLOCK_{field.upper()}" if saying else DEFAULT
        yield Setting(name=key, value=_text(getattr(session.settings, field)), origin=origin)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in cast("tuple[object, ...]", value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _addresses(session: Session) -> Iterator[Setting]:
    for name, variable in (
        ("civitai-url", "COMFYLOCK_CIVITAI_URL"),
        ("huggingface-url", "HF_ENDPOINT"),
    ):
        field = name.replace("-", "_")
        value = getattr(session.hub, field)
        origin = DEFAULT if value == getattr(Hub(), field) else CONFIG_FILE
        if session.environment.get(variable, "").strip():
            origin = variable
        yield Setting(name=name, value=value, origin=origin)


def _models_origin(session: Session, *, models_flag: bool) -> str:
    """Return who names the models folder, in the order in which `find_models_dirs` asks."""
    if models_flag:
        return "--models-dir"
    if session.environment.get("COMFYLOCK_MODELS_DIR"):
        return "COMFYLOCK_MODELS_DIR"
    if session.user.models_dirs:
        return CONFIG_FILE
    if session.environment.get("COMFYUI_PATH"):
        return "COMFYUI_PATH"
    return "found beside the lock"
