"""The user's word written into comfylock.toml; comments, order and blanks of the file survive.

Each function takes a text and returns a text, so that an edit can be judged before it is written.
Every edit is checked by reading the new text again: it says what it should and nothing else has
changed, or there is no edit.
"""

import tomllib
from collections.abc import Callable, Generator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from comfylock.config import ModelWish
from comfylock.errors import ConfigInvalidError
from comfylock.names import canonical_folder, normalised_name
from comfylock.places import PROJECT_FILE
from comfylock.writing import write_text

if TYPE_CHECKING:  # tomlkit is heavy, and only writers need it
    from tomlkit import TOMLDocument


_Values = MutableMapping[str, Any]


def read_project_text(path: Path) -> str:
    """Return the file's text, as it is; nothing where there is no such file.

    Raises:
        ConfigInvalidError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalidError(f"{path} cannot be read: {error}") from error


def write_project_text(path: Path, text: str) -> bool:
    """Write the file where its bytes differ; say whether they did.

    Raises:
        PlaceError: as the disk has it; nothing was changed.
    """
    return write_text(path, text)


def with_wish(text: str, key: str, wish: ModelWish) -> str:
    """Return the text with what the user says of a model; an older word for it is replaced.

    Raises:
        ConfigInvalidError: the text cannot be edited.
    """
    said = {
        "pin": wish.pin,
        "local": wish.local or None,
        "sha256": wish.sha256,
        "size": wish.size,
    }

    def edit(document: _Values) -> None:
        models = document.setdefault("models", {})
        spelled = _spelling_in(models, key) or key
        _say(models.setdefault(spelled, {}), said)

    def edit_text(document: "TOMLDocument") -> str:
        models = _table(document, "models")
        spelled = _spelling_in(models, key)
        if spelled is not None:
            _say(models[spelled], said)
            return document.as_string()
        entry = _new_entry(models)
        _say(entry, said)
        models[key] = entry
        return _spaced(document.as_string(), f"[models.{_quoted(key)}]")

    return _edited(text, edit, edit_text)


def without_wish(text: str, key: str) -> str:
    """Return the text without any word of a model.

    Raises:
        ConfigInvalidError: the text cannot be edited.
    """

    def edit(document: _Values) -> None:
        models = document.get("models", {})
        spelled = _spelling_in(models, key)
        if spelled is not None:
            del models[spelled]
            if not models:
                del document["models"]

    def edit_text(document: "TOMLDocument") -> str:
        if "models" not in document:
            return text
        models = _table(document, "models")
        spelled = _spelling_in(models, key)
        if spelled is None:
            return text
        tail = _foreign_tail(models[spelled])
        del models[spelled]
        if not models:
            del document["models"]
        return _put_back(text, document.as_string(), tail)

    return _edited(text, edit, edit_text)


def with_ignored(text: str, refs: tuple[str, ...]) -> str:
    """Return the text with more references, or globs of them, ignored.

    Raises:
        ConfigInvalidError: the text cannot be edited.
    """

    def add(listed: list[str]) -> None:
        known = {_spelled(ref) for ref in listed}
        listed.extend(ref for ref in refs if _spelled(ref) not in known)

    def edit(document: _Values) -> None:
        add(document.setdefault("ignore", {}).setdefault("refs", []))

    def edit_text(document: "TOMLDocument") -> str:
        from tomlkit import array

        is_new = "ignore" not in document
        ignore = _table(document, "ignore")
        if "refs" not in ignore:
            ignore["refs"] = array().multiline(multiline=True)
        add(cast("list[str]", ignore["refs"]))
        found = document.as_string()
        return _spaced(found, "[ignore]") if is_new else found

    return _edited(text, edit, edit_text)


def _edited(
    text: str, edit: Callable[[_Values], None], edit_text: Callable[["TOMLDocument"], str]
) -> str:
    """Return the text edited, if it then says exactly what the plain values say after `edit`."""
    from tomlkit import parse

    ending = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    with _faults_told():
        wanted = tomllib.loads(text)
        edit(wanted)
        found = edit_text(parse(text))
        found = f"{found.strip(chr(10))}\n" if found.strip() else ""
        if tomllib.loads(found) == wanted:
            return found.replace("\n", ending)
    raise ConfigInvalidError(f"{PROJECT_FILE} cannot be edited", hint=_BY_HAND)


_BY_HAND = "Its tables are written in an unusual way; edit it by hand"


@contextmanager
def _faults_told() -> Generator[None]:
    from tomlkit.exceptions import TOMLKitError

    try:
        yield
    except (TOMLKitError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # tomlkit raises any of these over tables that are dotted, inline or torn apart.
        raise ConfigInvalidError(
            f"{PROJECT_FILE} cannot be edited: {error}", hint=_BY_HAND
        ) from error


def _table(document: "TOMLDocument", name: str) -> _Values:
    from tomlkit import table

    if name not in document:
        document.append(name, table(is_super_table=name == "models"))
    return cast("_Values", document[name])


def _new_entry(models: _Values) -> _Values:
    from tomlkit import inline_table, table
    from tomlkit.items import InlineTable

    return inline_table() if isinstance(cast("object", models), InlineTable) else table()


def _say(entry: _Values, said: _Values) -> None:
    for name, value in said.items():
        if value is not None:
            entry[name] = value
        elif name in entry:
            del entry[name]


def _foreign_tail(entry: object) -> str:
    """Return the comments at the end of a table that a blank line divides from it.

    They speak of what comes next in the file.
    """
    from tomlkit.items import Table

    if not isinstance(entry, Table):
        return ""
    lines = entry.as_string().split("\n")
    tail = "\n".join(lines[_tail_start(lines) :]).lstrip("\n")
    return tail if tail.strip() else ""


def _put_back(old: str, new: str, tail: str) -> str:
    """Insert a text where something was taken out of `old`, at the begin of a line."""
    if not tail:
        return new
    same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(new))
    place = new.rfind("\n", 0, same) + 1
    return new[:place] + tail + new[place:]


def _spaced(text: str, header: str) -> str:
    """Return the text with the new table of a header at its place.

    Comments above it that speak of what follows stay with that, and blank lines divide.
    """
    lines = text.split("\n")
    if header not in lines:
        return text
    place = lines.index(header)
    later = range(place + 1, len(lines))
    end = next((number for number in later if lines[number].startswith("[")), len(lines))
    before, block, after = lines[:place], lines[place:end], lines[end:]
    start = _tail_start(before) if after else len(before)
    before, foreign = before[:start], before[start:]
    parts = (before, block, [*_trimmed(foreign), *after] if after else [])
    return "\n\n".join("\n".join(_trimmed(part)) for part in parts if _trimmed(part))


def _tail_start(lines: Sequence[str]) -> int:
    """Return where the comments begin that a blank line divides from the last value."""
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    while end < len(lines) and lines[end].strip():
        end += 1
    return end


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Return the lines without blank ones at the begin and end."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    return list(lines[filled[0] : filled[-1] + 1]) if filled else []


def _quoted(key: str) -> str:
    from tomlkit import string

    return string(key).as_string()


def _spelling_in(models: _Values, key: str) -> str | None:
    """Return how the file spells a key: it may say ``unet/…`` for ``diffusion_models/…``."""
    return next((str(name) for name in models if _spelled(str(name)) == key), None)


def _spelled(ref: str) -> str:
    folder, slash, name = normalised_name(ref).partition("/")
    return f"{canonical_folder(folder)}{slash}{name}"
