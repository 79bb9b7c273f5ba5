"""The keys by the exact origins that they may go to; a keyring is asked only when one is needed."""

import threading
from collections.abc import Callable, Iterator, Mapping

from comfylock.hubs import Hub, Secret, Site
from comfylock.web.origins import Origin, hub_keys, key_origins


class HubKeys(Mapping[Origin, Secret]):
    """Which key each origin is given.

    Looking up an origin may ask the keyring, once for each site; iterating never does, and shows
    only keys that are known by then.

    Args:
        hub: the hubs, and the keys that variables and the user's file hold.
        stored: finds a key for a site that has none in `hub`.

    Raises:
        HostNotAllowedError: a configured base is no address that comfylock would ask.
    """

    def __init__(self, hub: Hub, stored: Callable[[Site], Secret | None]) -> None:
        self._known = hub_keys(hub)
        self._stored = stored
        self._guard = threading.Lock()
        self._hub = hub
        self._unasked = {site for site in Site if hub.key(site) is None}

    def __getitem__(self, origin: Origin) -> Secret:
        with self._guard:
            self._ask_for(origin)
            return self._known[origin]

    def __iter__(self) -> Iterator[Origin]:
        return iter(tuple(self._known))

    def __len__(self) -> int:
        return len(self._known)

    def _ask_for(self, origin: Origin) -> None:
        if origin in self._known:
            return
        for site in sorted(self._unasked):
            origins = key_origins(self._hub, site)
            if origin in origins:
                self._unasked.remove(site)
                key = self._stored(site)
                if key is not None:
                    self._known |= dict.fromkeys(origins, key)
