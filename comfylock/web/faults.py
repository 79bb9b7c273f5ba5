"""What a refusal means: HTTP status and body in, one error of comfylock's tree out. Pure.

The same status has several meanings at Civitai and its body tells them apart: 401 is "log in" or
"downloads are disabled", 403 is early access, no access or the edge's own block page, 429 is the
account's download quota, the paging limit or plain haste. Faults that may be gone at the next try
are `PassingError`s; all others are final.

Source: civitai/civitai, src/pages/api/download/models/[modelVersionId].ts and
src/pages/api/v1 (2026-08): statuses and texts.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from comfylock.errors import (
    AuthRequiredError,
    EarlyAccessError,
    FetchError,
    ForbiddenError,
    GoneError,
    NetworkError,
    QuotaError,
    RateLimitedError,
    ServerError,
)
from comfylock.hubs import KEY_PAGES, Site
from comfylock.names import shown
from comfylock.web.origins import CIVITAI_HOSTS, HUGGING_FACE_HOSTS
from comfylock.web.waiting import LONGEST_WAIT_S

_QUOTED_CHARACTERS = 200
_QUERY = re.compile(r"((?:https?://|/)[^\s?\"'<>]*)\?[^\s\"'<>]*")
_SECRET_FIELD = re.compile(r"(?i)\b(token|authorization|x-amz-[a-z\-]+)=[^\s&\"'<>]+")


class PassingError(FetchError):
    """A fault that may be gone at the next try.

    Attributes:
        retry_after_s: seconds that the server asks us to wait, ``None`` when it does not say.
    """

    retry_after_s: float | None = None


class SlowDownError(PassingError, RateLimitedError):
    """The server asks us to slow down."""


class PassingServerError(PassingError, ServerError):
    """The server, or the edge before it, is in trouble for now."""


class NoAnswerError(PassingError, NetworkError):
    """The connection could not be made, broke, or fell silent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An answer that is not what was asked for.

    Attributes:
        host: who answered; for messages.
        status: HTTP status.
        content_type: lower-case media type without parameters, empty when not said.
        body: the beginning of the body.
        retry_after_s: what ``Retry-After`` asks for.
        key_sent: whether the request carried a key.
        path: of the address that answered.
        code: Hugging Face's word for what is wrong (``X-Error-Code``), empty when not said.
        said: its sentence (``X-Error-Message``), likewise.
    """

    host: str
    status: int
    content_type: str
    body: bytes
    retry_after_s: float | None = None
    key_sent: bool = False
    path: str = ""
    code: str = ""
    said: str = ""


def fault_of(refusal: Refusal) -> FetchError:
    """Return the error that a refusal stands for, with the server's own words and a next step."""
    meaning = _MEANINGS.get(refusal.status)
    if meaning is not None:
        return meaning(refusal)
    if refusal.status >= 500 and refusal.status != 501:  # "not implemented" does not pass
        return _in_trouble(refusal)
    return ServerError(f"{refusal.host} answered {refusal.status}: {_words(refusal)}")


def is_web_page(content_type: str) -> bool:
    """Say whether a media type is that of a page for people."""
    return content_type in {"text/html", "application/xhtml+xml"}


def quoted_body(body: bytes, content_type: str) -> str:
    """Return what an answer says, fit to print: one line, at most 200 characters, no query string.

    Of JSON it is the error text, of XML the code and message, of a web page its title.
    """
    text = body.decode("utf-8", "replace")
    return shown_text(_spoken_text(text, content_type) or "no explanation")


def shown_text(text: str) -> str:
    """Return a foreign text as messages may hold it: one line, cut, without query strings."""
    line = " ".join(text.split())
    line = _SECRET_FIELD.sub(r"\1=***", _QUERY.sub(r"\1", line))
    return shown(line[:_QUOTED_CHARACTERS])


def media_type(header: str | None) -> str:
    """Return a ``Content-Type`` header without its parameters, in lower case."""
    return (header or "").partition(";")[0].strip().lower()


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks for: a number, or a date against ``Date``.

    The server's own clock is the measure of a date; without one the date means nothing.
    """
    asked = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", asked):
        return float(asked)
    until, now = _http_date(asked), _http_date(headers.get("date", ""))
    return max(0.0, until - now) if until is not None and now is not None else None


def _http_date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _unauthorised(refusal: Refusal) -> FetchError:
    words = _words(refusal)
    if "disabled downloads" in words:
        return ForbiddenError(
            f"{refusal.host}: {words}",
            hint="Pin another source, or place the file by hand: a key does not help here",
        )
    if refusal.key_sent:
        message = f"{refusal.host} does not accept the key that was sent: {words}"
    else:
        message = f"{refusal.host} gives this file only with a key: {words}"
    return AuthRequiredError(message, hint=key_hint(refusal.host))


def key_hint(host: str) -> str:
    """Return where a key for a host is made and how comfylock is told of it."""
    if host in HUGGING_FACE_HOSTS:
        return (
            f"Make a key at {KEY_PAGES[Site.HUGGINGFACE]}, then run "
            "`comfylock auth login huggingface` or set HF_TOKEN"
        )
    if host in CIVITAI_HOSTS or not _looks_foreign(host):
        return (
            f"Make a key at {KEY_PAGES[Site.CIVITAI]}, then run `comfylock auth login` or "
            "set CIVITAI_TOKEN"
        )
    return "Pin a source that needs no key: comfylock has none for this host"


def _looks_foreign(host: str) -> bool:
    """A host by number is a configured hub: nothing else is reached over plain addresses."""
    return re.fullmatch(r"[0-9.]+|localhost|\[?[0-9a-f:]+\]?", host) is None


def _forbidden(refusal: Refusal) -> FetchError:
    if is_web_page(refusal.content_type):
        return ForbiddenError(
            f"{refusal.host} blocked the request with a web page (403)",
            hint="Try again later or from another network: its protection against robots did this",
        )
    answer = _json_object(refusal.body)
    if answer.get("error") == "Early Access":
        deadline = answer.get("deadline")
        until = f" until {shown_text(deadline)}" if isinstance(deadline, str) else ""
        return EarlyAccessError(
            f"{refusal.host}: the file is in early access{until}: {_words(refusal)}",
            hint="Buy access on its page, or wait until it is free",
        )
    return ForbiddenError(
        f"{refusal.host} refuses this file: {_words(refusal)}",
        hint=None if refusal.key_sent else key_hint(refusal.host),
    )


def _gone(refusal: Refusal) -> FetchError:
    return GoneError(
        f"{refusal.host} no longer has it ({refusal.status}): {_words(refusal)}",
        hint="Look for another copy with `comfylock search`, then `comfylock pin` it",
    )


def _region_refused(refusal: Refusal) -> FetchError:
    return ForbiddenError(
        f"{refusal.host} refuses your region: {_words(refusal)}",
        hint="The file has to come from another source; pin one, or place it by hand",
    )


def _too_many(refusal: Refusal) -> FetchError:
    words = _words(refusal)
    if "unusual amount of downloading" in words:
        return QuotaError(
            f"{refusal.host}: {words}",
            hint="Run the same command again later, and it goes on; the quota counts 24 hours",
        )
    asked_s = refusal.retry_after_s
    if "too many pages" in words:
        return RateLimitedError(f"{refusal.host}: {words}")
    if asked_s is not None and asked_s > LONGEST_WAIT_S:
        return RateLimitedError(
            f"{refusal.host} asks to wait {asked_s:.0f} s before the next request",
            hint="Run the same command again after that time; it goes on",
        )
    slow_down = SlowDownError(
        f"{refusal.host} asks to slow down (429): {words}",
        hint="Run the same command again in a few minutes; it goes on",
    )
    slow_down.retry_after_s = asked_s
    return slow_down


def _in_trouble(refusal: Refusal) -> FetchError:
    message = f"{refusal.host} is in trouble ({refusal.status}): {_words(refusal)}"
    hint = "Try again later"
    if refusal.retry_after_s is not None and refusal.retry_after_s > LONGEST_WAIT_S:
        return ServerError(f"{message}; it asks to wait {refusal.retry_after_s:.0f} s", hint=hint)
    trouble = PassingServerError(message, hint=hint)
    trouble.retry_after_s = refusal.retry_after_s
    return trouble


def _words(refusal: Refusal) -> str:
    return quoted_body(refusal.body, refusal.content_type)


def _spoken_text(text: str, content_type: str) -> str:
    answer = _json_object(text)
    if answer:
        return _json_words(answer)
    if is_web_page(content_type) or text.lstrip()[:1] == "<":
        parts = re.findall(r"(?is)<(?:title|code|message)>([^<]{1,300})<", text[:4096])
        return " - ".join(parts) if parts else "it sent a web page"
    return text[:1000]


def _json_words(answer: dict[str, object]) -> str:
    """Return the text of an error: ``message`` says more where both are there."""
    error = answer.get("error")
    nested = _as_object(error)
    if nested:
        return _issues(str(nested.get("message", "")))
    spoken = answer.get("message")
    if isinstance(spoken, str) and spoken and (error is None or error == "Unauthorized"):
        return spoken
    words = [part for part in (error, spoken) if isinstance(part, str) and part]
    return ": ".join(words)


def _issues(text: str) -> str:
    """Return the sentences inside a validation error, whose message is itself a JSON list."""
    found = re.findall(r'"message":\s*"([^"]{1,200})"', text)
    return "; ".join(found) or text


_MEANINGS: dict[int, Callable[[Refusal], FetchError]] = {
    401: _unauthorised,
    403: _forbidden,
    404: _gone,
    408: _in_trouble,
    410: _gone,
    429: _too_many,
    451: _region_refused,
}


def _json_object(body: bytes | str) -> dict[str, object]:
    try:
        answer: object = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return {}
    return _as_object(answer)


def _as_object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
