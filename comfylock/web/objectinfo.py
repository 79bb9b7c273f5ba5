"""ComfyUI's own answer to ``/object_info``, from an address of the command line."""

from collections.abc import Mapping
from contextlib import closing
from typing import cast
from urllib.parse import urlsplit

from comfylock.events import Reporter
from comfylock.web.transport import Transport
from comfylock.web.waiting import Waiting
from comfylock.workflows.shapes import Json

_PATH = "/object_info"


def fetch_object_info(
    address: str, environment: Mapping[str, str], reporter: Reporter, *, offline: bool
) -> Json:
    """Return what a running ComfyUI says about its nodes.

    No key goes there, and nobody waits for a server that does not run.

    Args:
        address: of the server or of the answer itself; plain http for this machine only.
        environment: for proxies and certificates.
        reporter: told of retries.
        offline: ask nobody.

    Raises:
        FetchError: there is no answer.
    """
    if urlsplit(address).path in {"", "/"}:
        address = f"{address.rstrip('/')}{_PATH}"
    transport = Transport(
        keys={},
        allowed_hosts=frozenset(),
        environment=environment,
        reporter=reporter,
        offline=offline,
        waiting=Waiting(sleep=lambda _: None),
    )
    with closing(transport):
        return cast("Json", transport.get_json(address))
