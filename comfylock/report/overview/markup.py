"""HTML that cannot be injected into: every text is escaped unless it was built here."""

from html import escape

from comfylock.names import shown

_VOID = frozenset({"meta", "rect"})


class Html(str):
    """Text that is HTML already; only `element` and `joined` make it."""

    __slots__ = ()


def element(tag: str, *content: str, **attributes: str | int | None) -> Html:
    """Return an element; content that is no `Html` is escaped.

    Args:
        tag: its name.
        content: what is in it.
        attributes: with ``_`` for ``-``, and one at the end of reserved words, as in ``class_``;
            those that are ``None`` are left out.
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(shown(str(value)))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{named}>") if tag == "meta" else Html(f"<{tag}{named}/>")
    return Html(f"<{tag}{named}>{joined(*content)}</{tag}>")


def joined(*content: str) -> Html:
    """Return texts one behind the other; what is no `Html` is escaped."""
    return Html("".join(part if isinstance(part, Html) else _text(part) for part in content))


def foreign(text: str) -> Html:
    """Return a stranger's text; its writing direction changes nothing around it."""
    return element("bdi", text)


def breakable(path: str) -> Html:
    """Return a stranger's path or file name that may break into lines at its joints."""
    marked = _text(path)
    for joint in ("/", "_", "-"):
        marked = marked.replace(joint, f"{joint}<wbr>")
    marked = marked.replace(".", "<wbr>.")
    return Html(f"<bdi>{marked}</bdi>")


def hidden(text: str) -> Html:
    """Return a text that is heard and not seen."""
    return element("span", text, class_="heard")


def _text(text: str) -> str:
    return escape(shown(text))
