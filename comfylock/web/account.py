"""Whose key it is: the one question to each hub that a key answers for itself.

Civitai takes a bad key for none everywhere but at ``/me``; Hugging Face has ``whoami-v2``. The
answers' ``Date`` also tells how wrong this machine's clock is.

Sources: Civitai's ``src/pages/api/v1/me.ts``; huggingface_hub, ``hf_api.py`` (``whoami``).
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import cast

from comfylock.errors import FetchError, ServerError
from comfylock.events import Reporter
from comfylock.hubs import Hub, Site
from comfylock.names import shown
from comfylock.web.body import bounded_body
from comfylock.web.origins import hub_keys, keys_hidden
from comfylock.web.request import Request
from comfylock.web.transport import Transport
from comfylock.web.wire import told_by

_PATHS = {Site.CIVITAI: "/api/v1/me", Site.HUGGINGFACE: "/api/whoami-v2"}
_NAME_FIELDS = {Site.CIVITAI: "username", Site.HUGGINGFACE: "name"}
_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What a hub says of a key.

    Attributes:
        name: the account's.
        restriction: what the hub says of it when it is not in order, such as ``banned``.
    """

    name: str
    restriction: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a hub answers to the question whose key it is.

    Attributes:
        account: whose; or why the hub does not say it, as without a key.
        server_time_s: the hub's clock, seconds since 1970; ``None`` when it does not say.
    """

    account: Account | FetchError
    server_time_s: float | None


def ask_account(site: Site, hub: Hub, environment: Mapping[str, str], reporter: Reporter) -> Answer:
    """Ask a site whose its key in `hub` is; the key goes to exactly its own hosts.

    Raises:
        FetchError: there is no answer at all.
    """
    keys = hub_keys(hub)
    transport = Transport(
        keys=keys,
        allowed_hosts=frozenset(),
        environment=environment,
        reporter=reporter,
        offline=False,
    )
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
    request = Request(url=f"{hub.url(site)}{_PATHS[site]}", headers=headers)
    with closing(transport), transport.stream(request) as reply:
        server_time_s = _seconds(reply.headers.get("date", ""))
        if reply.status != 200:
            return Answer(account=transport.refusal(reply), server_time_s=server_time_s)
        with told_by(reply.host):
            body = bounded_body(reply.response, _MAX_BYTES, reply.pace)
        text = keys_hidden(body.decode("utf-8", "replace"), keys)
        return Answer(
            account=_account(site, _object(text, reply.host)), server_time_s=server_time_s
        )


def _object(body: str, host: str) -> dict[str, object]:
    import json

    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ServerError(f"{host} answered 200 with what is not JSON") from error
    if not isinstance(found, dict):
        raise ServerError(f"{host} answered with something else than an account")
    return cast("dict[str, object]", found)


def _account(site: Site, answer: dict[str, object]) -> Account:
    name, status = answer.get(_NAME_FIELDS[site]), answer.get("status")
    in_order = status == "active" or not isinstance(status, str)
    return Account(
        name=shown(name) if isinstance(name, str) and name else "an account without a name",
        restriction=None if in_order else shown(str(status)),
    )


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
