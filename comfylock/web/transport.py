"""Requests: redirects by hand, keys to exact origins only, retries with one shared backoff.

Rules, each forced by how Civitai and its storage behave:

- The key travels in ``Authorization`` only, and only while every hop so far was an origin that it
  belongs to. A storage host that receives one answers 400.
- At most 10 hops, https only; plain http between loopback addresses.
- Answers of the API are JSON of at most 64 MiB; a web page there is a fault of the server.
- 5xx and network faults are tried four times, 429 likewise unless it speaks of the quota or of
  paging. A download is never retried here: who downloads knows what it already has.
- At most eight questions to one place (host and port) at once, however many threads have one.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from comfylock.errors import (
    FetchError,
    HostNotAllowedError,
    NetworkError,
    OfflineError,
    ServerError,
)
from comfylock.events import Noted, Reporter
from comfylock.hubs import Secret
from comfylock.web.body import Pace, beginning, bounded_body
from comfylock.web.faults import (
    NoAnswerError,
    PassingError,
    Refusal,
    fault_of,
    is_web_page,
    media_type,
    retry_after_s,
)
from comfylock.web.hubfaults import hugging_face_fault
from comfylock.web.origins import (
    CIVITAI_HOSTS,
    HUGGING_FACE_HOSTS,
    Origin,
    checked_address,
    host_of,
    keys_hidden,
    next_address,
    origin_of,
    place_of,
)
from comfylock.web.request import Onward, Request
from comfylock.web.waiting import Pauses, Reach, Waiting, backoff_s
from comfylock.web.wire import open_client, proxy_of, told_by

if TYPE_CHECKING:
    import httpx

MAX_HOPS = 10
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
TRIES = 4
QUESTIONS_AT_ONCE = 8

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The head of a final answer, and its body still on the wire.

    Attributes:
        response: the library's answer; only the folder `web` looks inside.
        host: who answered.
        key_sent: whether the last hop was given a key.
        hops: number of redirects before it.
        pace: watches the body's speed.
    """

    response: "httpx.Response"
    host: str
    key_sent: bool
    hops: int
    pace: Pace

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names in any case."""
        return self.response.headers

    @property
    def content_type(self) -> str:
        """The media type in lower case, empty when not said."""
        return media_type(self.response.headers.get("content-type"))


class Transport:
    """One HTTP client, shared by all threads and opened at the first request.

    Args:
        keys: which key each exact origin is given.
        allowed_hosts: further hosts that API answers may come from.
        environment: for ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE``.
        reporter: told of retries.
        offline: every request ends in an `OfflineError`.
        waiting: how time passes.
    """

    def __init__(
        self,
        *,
        keys: Mapping[Origin, Secret],
        allowed_hosts: frozenset[str],
        environment: Mapping[str, str],
        reporter: Reporter,
        offline: bool,
        waiting: Waiting | None = None,
    ) -> None:
        self._keys = keys
        self._hubs = allowed_hosts | CIVITAI_HOSTS | HUGGING_FACE_HOSTS
        self._environment = environment
        self._reporter = reporter
        self._offline = offline
        self._waiting = waiting or Waiting()
        self._pauses = Pauses(self._waiting)
        self._reach = Reach(self._waiting.clock)
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._unreachable: dict[str, str] = {}
        self._slots = defaultdict[str, threading.Semaphore](
            lambda: threading.Semaphore(QUESTIONS_AT_ONCE)
        )

    @property
    def offline(self) -> bool:
        """Whether every request is refused."""
        return self._offline

    def get_json(self, url: str, params: Sequence[tuple[str, str]] = ()) -> object:
        """Return the JSON that an API answers.

        Raises:
            GoneError: a true 404 or 410.
            FetchError: anything else that is not an answer.
        """
        query = urlencode(list(params), quote_via=quote, errors="replace")
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        return self._ask(Request(url=f"{url}?{query}" if query else url, headers=headers))

    def post_json(self, url: str, content: object) -> object:
        """Return what an API answers to a JSON body.

        Raises:
            FetchError: there is no answer.
        """
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Content-Type": "application/json",
        }
        body = json.dumps(content).encode()
        return self._ask(Request(url=url, method="POST", headers=headers, content=body))

    def head(self, url: str) -> Mapping[str, str]:
        """Return the headers of the first answer to a HEAD, also of a redirect; asked once.

        Raises:
            FetchError: there is no answer, or it is a refusal.
        """
        request = Request(
            url=url,
            method="HEAD",
            headers={"Accept": "*/*", "Accept-Encoding": "identity"},
            onward=Onward.NOWHERE,
        )
        with self.stream(request) as reply:
            if reply.status >= 400:
                raise self.refusal(reply)
            return reply.headers

    @contextmanager
    def stream(self, request: Request) -> Generator[Reply]:
        """Open an answer whose body is read by the caller; it is closed at the end.

        Asked once, redirects followed. Who reads the body does so inside `told_by`.

        Raises:
            FetchError: no answer came, or it leads somewhere it must not.
        """
        self._pauses.wait(place_of(request.url))
        try:
            reply = self._follow(request)
        except FetchError as error:
            error.message = self.without_keys(error.message)  # a redirect may repeat it
            raise
        try:
            yield reply
        finally:
            reply.response.close()

    def pause(self, url: str, seconds: float) -> None:
        """Hold back all requests to the place of an address, and with them the caller's next."""
        self._pauses.extend(place_of(url), seconds)

    def refusal(self, reply: Reply) -> FetchError:
        """Return the error that an answer stands for; reads the beginning of its body."""
        return self._told(reply, error_body(reply))

    def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ask(self, request: Request) -> object:
        place = place_of(request.url)
        for attempt in range(TRIES):
            self._refuse_unreachable(place)
            try:
                with self._slot(place):
                    return self._ask_once(request)
            except PassingError as error:
                if attempt + 1 == TRIES:
                    self._remember(place, error)
                    raise
                self._hold_back(place, attempt, error)
        raise AssertionError("the last try returns or raises")

    def _slot(self, place: str) -> threading.Semaphore:
        with self._lock:
            return self._slots[place]

    def _ask_once(self, request: Request) -> object:
        with self.stream(request) as reply:
            if reply.status != 200 or is_web_page(reply.content_type):
                raise self._page_or_refusal(reply)
            with told_by(reply.host):
                body = bounded_body(reply.response, MAX_ANSWER_BYTES, reply.pace)
        return _parsed(body, reply.host)

    def _page_or_refusal(self, reply: Reply) -> FetchError:
        """A page with 200, or 404 from the edge, says nothing about what was asked for."""
        if is_web_page(reply.content_type) and reply.status in {200, 404, 410}:
            return ServerError(
                f"{reply.host} answered {reply.status} with a web page where JSON was expected",
                hint="The site may be down or in maintenance; try again later",
            )
        return self.refusal(reply)

    def _told(self, reply: Reply, body: bytes) -> FetchError:
        refusal = Refusal(
            host=reply.host,
            status=reply.status,
            content_type=reply.content_type,
            body=self.without_keys(body.decode("utf-8", "replace")).encode(),
            retry_after_s=retry_after_s(reply.headers),
            key_sent=reply.key_sent,
            path=reply.response.url.path,
            code=reply.headers.get("x-error-code", ""),
            said=self.without_keys(reply.headers.get("x-error-message", "")),
        )
        return hugging_face_fault(refusal) or fault_of(refusal)

    def without_keys(self, text: str) -> str:
        """Return what a server said, without the keys that it may have repeated."""
        return keys_hidden(text, self._keys)

    def _hold_back(self, place: str, attempt: int, error: PassingError) -> None:
        seconds = error.retry_after_s
        if seconds is None:
            seconds = backoff_s(attempt, self._waiting.chance())
        self._reporter.on(Noted(message=f"{error.message}; asking again in {seconds:.0f} s"))
        self._pauses.extend(place, seconds)

    def _remember(self, place: str, error: PassingError) -> None:
        """After all tries found nobody there, later requests of this run need not wait again."""
        if isinstance(error, NoAnswerError):
            self._unreachable[place] = error.message

    def _refuse_unreachable(self, place: str) -> None:
        if place in self._unreachable:
            raise NoAnswerError(
                self._unreachable[place], hint="Check the network and the proxy settings"
            )

    def _follow(self, request: Request) -> Reply:
        if self._offline:
            raise OfflineError(
                f"{host_of(request.url)} would have to be asked, and `--offline` forbids it",
                hint="Run the command again without `--offline`",
            )
        url = checked_address(request.url)
        hubs = self._hubs | {url.host}
        trusted = True
        for hop in range(MAX_HOPS + 1):
            key = self._keys.get(origin_of(url)) if trusted else None
            trusted = key is not None
            response = self._send(request, url, key)
            leads_on = response.status_code in _REDIRECTS and "location" in response.headers
            if not leads_on or request.onward is Onward.NOWHERE:
                pace = Pace(url.host, self._waiting.clock)
                return Reply(
                    response=response, host=url.host, key_sent=trusted, hops=hop, pace=pace
                )
            response.close()
            url = _hop(request, url, response, hubs)
        raise ServerError(f"{host_of(request.url)} redirected more than {MAX_HOPS} times")

    def _send(self, request: Request, url: "httpx.URL", key: Secret | None) -> "httpx.Response":
        origin = str(origin_of(url))
        known = self._reach.given_up(origin)
        if known is not None:
            raise _out_of_reach(known)
        began_s = self._waiting.clock()
        try:
            response = self._sent(request, url, key)
        except NoAnswerError as error:
            if self._reach.failed(origin, began_s, error.message):
                raise _out_of_reach(error.message) from error
            raise
        self._reach.answered(origin)
        return response

    def _sent(self, request: Request, url: "httpx.URL", key: Secret | None) -> "httpx.Response":
        headers = dict(request.headers)
        if key is not None:
            headers["Authorization"] = f"Bearer {key.reveal()}"
        with told_by(url.host):
            client = self._opened()
            built = client.build_request(
                request.method, url, headers=headers, content=request.content
            )
            return client.send(built, stream=True)

    def _opened(self) -> "httpx.Client":
        with self._lock:
            if self._client is None:
                self._client = open_client(self._environment)
                proxy = proxy_of(self._environment)
                if proxy is not None:
                    self._reporter.on(Noted(message=f"https goes through {host_of(proxy)}"))
            return self._client


def _out_of_reach(reason: str) -> NetworkError:
    return NetworkError(
        reason,
        hint="Check the network and the proxy settings, then run the same command again: "
        "it goes on where it stopped",
    )


def error_body(reply: Reply) -> bytes:
    """Return the beginning of an error's body; a connection that breaks there adds nothing."""
    try:
        with told_by(reply.host):
            return beginning(reply.response, MAX_ERROR_BYTES, reply.pace)
    except NetworkError:
        return b""


def _hop(
    request: Request, url: "httpx.URL", response: "httpx.Response", hubs: frozenset[str]
) -> "httpx.URL":
    target = next_address(url, response.headers["location"])
    if request.method != "GET" and response.status_code not in {307, 308}:
        raise ServerError(f"{url.host} redirected a POST with {response.status_code}")
    if request.onward is Onward.HUBS and target.host not in hubs:
        raise HostNotAllowedError(
            f"{url.host} redirected to {target.host}, which does not speak for it",
            hint="Check COMFYLOCK_CIVITAI_URL and the network: something answers in its place",
        )
    return target


def _parsed(body: bytes, host: str) -> object:
    try:
        # strict=False: descriptions hold raw control characters now and then.
        return json.loads(body, strict=False)
    except (ValueError, RecursionError) as error:
        raise ServerError(
            f"{host} answered 200 with what is not JSON", hint="Try again later"
        ) from error
