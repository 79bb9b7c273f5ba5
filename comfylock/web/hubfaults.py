"""What a refusal of Hugging Face means; its headers say what status and body leave open. Pure.

The hub answers 401 for a gated repository, for a private one, for one that was never there and
for a bad key; `X-Error-Code` and `X-Error-Message` tell them apart, but a private repository from
a missing one only to who has a key.

Source: huggingface/huggingface_hub, ``utils/_http.py`` and ``errors.py`` with their tests
(2026-08): the codes, the message of a bad key, "Access to this resource is disabled."; the words
of a gated repository, quoted in public reports of 2024 to 2026.
"""

import re

from comfylock.errors import AuthRequiredError, FetchError, ForbiddenError, GoneError
from comfylock.hubs import KEY_PAGES, Site
from comfylock.names import shown
from comfylock.web.faults import Refusal, quoted_body, shown_text

_REPOSITORY = re.compile(
    r"/(?:api/(?:resolve-cache/)?models/)?([\w.-]+(?:/[\w.-]+)?)/(?:resolve|revision|paths-info|tree)/"
)
_CODES = frozenset({"GatedRepo", "RepoNotFound", "RevisionNotFound", "EntryNotFound"})
_BAD_KEY = "Invalid credentials in Authorization header"
_TAKEN_DOWN = "Access to this resource is disabled."
_KEYS_PAGE = KEY_PAGES[Site.HUGGINGFACE]


class AbsentError(GoneError):
    """The hub itself says that it is not there."""


class UnseenError(AbsentError):
    """It is not there, or not for who comes without a key: the hub does not say which."""


def hugging_face_fault(refusal: Refusal) -> FetchError | None:
    """Return the error that a refusal stands for, ``None`` when it has none of the hub's marks."""
    if not (refusal.code in _CODES or refusal.said):
        return None
    if refusal.said == _BAD_KEY:
        return AuthRequiredError(
            f"{refusal.host} does not accept the key that was sent: {_BAD_KEY}",
            hint=f"Make a new key at {_KEYS_PAGE} and set HF_TOKEN",
        )
    if refusal.code == "GatedRepo":
        return _gated(refusal)
    if refusal.code in _CODES or refusal.said == _TAKEN_DOWN:
        return _not_there(refusal)
    if refusal.status in {401, 403}:
        return ForbiddenError(
            f"{refusal.host} refuses {_repository(refusal)}: {_words(refusal)}",
            hint=f"Check what the key in HF_TOKEN may read, at {_KEYS_PAGE}",
        )
    return None


def _gated(refusal: Refusal) -> FetchError:
    repo = _repository(refusal)
    message = f"{refusal.host} gives {repo} only to who has accepted its licence: {_words(refusal)}"
    page = f"https://huggingface.co/{repo}"
    if refusal.key_sent:
        return ForbiddenError(
            message, hint=f"Accept the licence at {page} with the account that HF_TOKEN belongs to"
        )
    return AuthRequiredError(
        message, hint=f"Accept the licence at {page}, then set HF_TOKEN (made at {_KEYS_PAGE})"
    )


def _not_there(refusal: Refusal) -> FetchError:
    repo, words = _repository(refusal), _words(refusal)
    if refusal.code == "RepoNotFound" and not refusal.key_sent:
        return UnseenError(
            f"{refusal.host} shows no repository {repo} to who comes without a key: {words}",
            hint="Check its name; if it is private, set HF_TOKEN",
        )
    return AbsentError(
        f"{refusal.host} does not have it ({refusal.status}, {repo}): {words}",
        hint="Look for another copy, then `comfylock pin` it",
    )


def _repository(refusal: Refusal) -> str:
    found = _REPOSITORY.match(refusal.path)
    return shown(found[1]) if found is not None else "this repository"


def _words(refusal: Refusal) -> str:
    said = shown_text(refusal.said)
    return said or quoted_body(refusal.body, refusal.content_type)
