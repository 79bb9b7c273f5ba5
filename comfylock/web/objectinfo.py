"""ComfyUI's own answer to ``/object_info``, from an address of the command line."""

from collections.abc import Mapping
from contextlib import closing
from typing import cast
from urllib.parse import urlsplit

from comfylock.errors import FetchError, NotReachableError, OfflineError
from comfylock.events import Reporter
from comfylock.names import shown
from comfylock.web.transport import Transport
from comfylock.web.waiting import Waiting
from comfylock.workflows.shapes import Json

_PATH = "/object_info"
_HINT = "Start ComfyUI there, or save its answer to /object_info and name that file"


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
        NotReachableError: there is no answer.
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
        try:
            return cast("Json", transport.get_json(address))
        except FetchError as error:
            raise NotReachableError(
                f"ComfyUI's nodes are not known from {_shown(address)}: {error.message}",
                fault=error,
                hint=error.hint if isinstance(error, OfflineError) else _HINT,
            ) from error


def _shown(address: str) -> str:
    """Return an address without what may be secret in it."""
    parts = urlsplit(address)
    return shown(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
