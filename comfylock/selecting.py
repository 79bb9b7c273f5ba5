"""Which reference a person means by REF: a key, a glob, or as much of its end as is needed. Pure.

The first that fits decides: the key as it is printed, a glob over keys, the file name, the last
parts of the path, the file name without its extension. Except by a glob, one REF means one
reference.
"""

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from comfylock.errors import AmbiguousError, UnresolvedError
from comfylock.matching import most_alike
from comfylock.names import basename, canonical_folder, extension, normalised_name, quoted, shown

_GLOB_CHARACTERS = frozenset("*?[")
_MOST_LISTED = 10


def any_refs(ref: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Return the keys that a REF may mean, sorted: none, one, or several."""
    known = sorted(set(keys))
    return tuple([key for key in known if shown(key) == ref] or _found(_spelled(ref), known))


def matching_refs(ref: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Return the keys that a REF means, sorted; several only for a glob.

    Raises:
        UnresolvedError: it means none of them; the message has the most alike.
        AmbiguousError: it is no glob, and means several.
    """
    known = sorted(set(keys))
    found = any_refs(ref, known)
    if not found:
        raise UnresolvedError(
            f"no reference is called {shown(ref)}{_suggestion(_spelled(ref), known)}",
            hint="`comfylock tree` lists what comfy.lock holds, `comfylock scan` what the "
            "workflows ask for",
        )
    if len(found) > 1 and not is_glob(ref):
        raise _several(ref, found)
    return found


def one_ref(ref: str, keys: Iterable[str]) -> str:
    """Return the key that a REF means.

    Raises:
        UnresolvedError: it means none of them.
        AmbiguousError: it means several.
    """
    first, *others = matching_refs(ref, keys)
    if others:
        raise _several(ref, [first, *others])
    return first


def matching_workflows(
    name: str, paths: Iterable[str], below: str | None = None
) -> tuple[str, ...]:
    """Return the workflows that a file, a folder, a glob, or the end of a path means, sorted.

    Args:
        name: as typed.
        paths: the workflows, as the lock spells them.
        below: where the name leads as a path, relative to the lock; ``None`` where it leads out.

    Raises:
        UnresolvedError: it means none of them; the message has the most alike.
        AmbiguousError: it is no folder and no glob, and means several.
    """
    known = sorted(paths)
    inside = "" if below == "." else f"{below}/"
    led_to = [path for path in known if below and (path == below or path.startswith(inside))]
    if led_to:
        return tuple(led_to)
    found = _found(name.removeprefix("./"), known)
    if not found:
        alike = most_alike(name, known)
        near = _listed([known[position] for position in alike])
        raise UnresolvedError(
            f"comfy.lock has no workflow {shown(name)}"
            + (f"; did you mean one of these?{near}" if alike else ""),
            hint=f"Run `comfylock lock {quoted(name)}` to add it",
        )
    if len(found) > 1 and not is_glob(name):
        raise AmbiguousError(
            f"{shown(name)} may be any of {len(found)} workflows:{_listed(found)}",
            hint="Name one of them in full",
        )
    return tuple(found)


def is_glob(ref: str) -> bool:
    """Say whether a REF is a pattern."""
    return any(character in _GLOB_CHARACTERS for character in ref)


def _spelled(ref: str) -> str:
    folder, slash, name = normalised_name(ref).partition("/")
    return f"{canonical_folder(folder)}{slash}{name}"


def _found(wanted: str, known: Sequence[str]) -> list[str]:
    plain = wanted.casefold()
    ways: tuple[Callable[[str], bool], ...] = (
        lambda key: key == wanted,
        lambda key: fnmatchcase(key, wanted),
        lambda key: basename(key) == wanted,
        lambda key: key.endswith(f"/{wanted}"),
        lambda key: key.casefold() == plain or key.casefold().endswith(f"/{plain}"),
        lambda key: _stem(key) == plain or _stem(key).endswith(f"/{plain}"),
    )
    for fits in ways:
        found = [key for key in known if fits(key)]
        if found:
            return found
    return []


def _stem(key: str) -> str:
    return key[: len(key) - len(extension(key))].casefold()


def _suggestion(wanted: str, known: Sequence[str]) -> str:
    alike = most_alike(_stem(basename(wanted)), [_stem(basename(key)) for key in known])
    near, part = [known[position] for position in alike], wanted.strip("*?").casefold()
    near += [key for key in known if part and part in key.casefold() and key not in near]
    return "; did you mean one of these?" + _listed(near) if near else ""


def _several(ref: str, found: Sequence[str]) -> AmbiguousError:
    return AmbiguousError(
        f"{shown(ref)} may be any of {len(found)} references:{_listed(found)}",
        hint="Name one of them in full",
    )


def _listed(keys: Sequence[str]) -> str:
    more = len(keys) - _MOST_LISTED
    tail = [f"  … and {more} more"] if more > 0 else []
    return "\n" + "\n".join([*(f"  {shown(key)}" for key in keys[:_MOST_LISTED]), *tail])
