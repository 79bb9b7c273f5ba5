"""The reports of `auth`; a key itself is never among the values that come here."""

from collections.abc import Sequence

from comfylock.hubs import Site
from comfylock.names import shown
from comfylock.operations.auth import Held, SignedIn, SignedOut
from comfylock.report.page import Page

TITLES = {Site.CIVITAI: "Civitai", Site.HUGGINGFACE: "Hugging Face"}


def login_page(done: SignedIn) -> Page:
    """Say whose key is kept where."""
    title = TITLES[done.site]
    who = f"Signed in to {title} as {done.account}" if done.account else f"Nobody asked {title}"
    err = [f"{who}; the key is kept in {_place(done)}"]
    if done.restriction is not None:
        err.append(f"warning: {title} says that this account is {done.restriction}")
    if done.overruled_by is not None:
        err.append(f"warning: the key in {done.overruled_by} counts instead of it")
    return Page(
        err=tuple(err),
        document={
            "site": str(done.site),
            "account": done.account,
            "kept": done.kept,
            "overruled_by": done.overruled_by,
            "summary": {"checked": done.account is not None},
        },
    )


def _place(done: SignedIn) -> str:
    if done.kept == "keyring":
        return "your keyring"
    return f"{shown(str(done.config_path))}, which only you can read"


def logout_page(done: Sequence[SignedOut]) -> Page:
    """Say from where keys were removed, and what still holds one."""
    err: list[str] = []
    for one in done:
        title = TITLES[one.site]
        where = " and ".join(one.removed)
        err.append(f"Removed the key for {title} from {where}" if where else _none(title))
        if one.left:
            err.append(f"warning: {one.left[0]} still holds a key for {title}; unset it")
    return Page(
        err=tuple(err),
        document={
            "sites": [
                {"site": str(one.site), "removed": list(one.removed), "left": list(one.left)}
                for one in done
            ],
            "summary": {"removed": sum(len(one.removed) for one in done)},
        },
    )


def _none(title: str) -> str:
    return f"comfylock keeps no key for {title}"


def auth_status_page(found: Sequence[Held]) -> Page:
    """Show for each site which key counts."""
    return Page(
        out=tuple(_row(one) for one in found),
        err=tuple(line for one in found for line in _warnings(one)),
        document={
            "keys": [
                {
                    "site": str(one.site),
                    "counts": one.counts,
                    "places": list(one.places),
                    "exposed": one.exposed,
                    "usable": None if one.counts is None else one.unusable is None,
                }
                for one in found
            ],
            "summary": {"keys": sum(1 for one in found if one.counts is not None)},
        },
    )


def _row(one: Held) -> str:
    if one.counts is None:
        return f"{TITLES[one.site]:<12}  no key"
    others = f"; also in {', '.join(one.places[1:])}, not used" if one.places[1:] else ""
    verb = "counts" if one.unusable is None else "counts and cannot be used"
    return f"{TITLES[one.site]:<12}  the key in {one.counts} {verb}{others}"


def _warnings(one: Held) -> list[str]:
    path = shown(str(one.config_path))
    lines = [f"warning: others can read the key in {path}; `chmod 600` it"] if one.exposed else []
    lines += [f"warning: {fault}" for fault in (one.fault, one.unusable) if fault is not None]
    return lines
