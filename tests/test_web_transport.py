"""Requests against small loopback servers: where keys go, what is retried, what answers mean."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from comfylock.errors import (
    ComfylockError,
    ConfigInvalidError,
    FetchError,
    ForbiddenError,
    GoneError,
    HostNotAllowedError,
    NetworkError,
    OfflineError,
    QuotaError,
    RateLimitedError,
    ServerError,
)
from comfylock.events import Noted, Silence
from comfylock.hubs import Hub, Secret
from comfylock.web.faults import PassingError
from comfylock.web.origins import Origin, checked_address, hub_keys, next_address
from comfylock.web.request import Onward, Request
from comfylock.web.transport import Transport
from comfylock.web.waiting import Waiting, backoff_s
from comfylock.web.wire import proxy_of
from comfylock.workers import side_by_side

KEY = "canary-7f3a9c"


@dataclass
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Answers by a function of the path; remembers what came."""

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        self.answer = answer
        self.seen: list[Seen] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("content-length", "0"))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.seen.append(Seen(self.command, self.path, headers, self.rfile.read(length)))
                said = outer.answer(self.path)
                self.send_response(said.status)
                for name, value in {"Content-Type": "application/json", **said.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)

            do_GET = do_POST = _serve  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Listening(ThreadingHTTPServer):
            request_queue_size = 64

        self._server = Listening(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(*answers: Callable[[str], Answer]) -> Iterator[list[Server]]:
    servers = [Server(answer) for answer in answers]
    try:
        yield servers
    finally:
        for server in servers:
            server.close()


def said(*answers: Answer) -> Callable[[str], Answer]:
    """Answer in turn; the last one stays."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds

    def waiting(self) -> Waiting:
        return Waiting(sleep=self.sleep, clock=lambda: self.now, chance=lambda: 0.5)


class Told:
    def __init__(self) -> None:
        self.messages: list[str] = []

    def on(self, event: object) -> None:
        self.messages.append(getattr(event, "message", ""))
        assert isinstance(event, Noted)


@contextmanager
def transport(
    keyed: Server | None = None,
    *,
    clock: Clock | None = None,
    offline: bool = False,
    environment: dict[str, str] | None = None,
) -> Iterator[Transport]:
    keys = {Origin("http", "127.0.0.1", keyed.port): Secret(KEY)} if keyed else {}
    opened = Transport(
        keys=keys,
        allowed_hosts=frozenset(),
        environment=environment or {},
        reporter=Silence(),
        offline=offline,
        waiting=(clock or Clock()).waiting(),
    )
    try:
        yield opened
    finally:
        opened.close()


def redirect(location: str, status: int = 307) -> Answer:
    return Answer(status=status, headers={"Location": location})


def failure(server: Server, *, key: bool = False, clock: Clock | None = None) -> FetchError:
    with transport(server if key else None, clock=clock) as web:
        with pytest.raises(FetchError) as caught:
            web.get_json(f"{server.url}/api?secretish=1")
        assert "secretish" not in str(caught.value.message)
        return caught.value


# Where keys go


def test_key_is_sent_in_the_header_to_its_own_origin_only():
    """The storage is another port of the same host: another origin."""
    with serving(
        lambda _: redirect(f"{servers[1].url}/file?sig=1"), said(Answer(body=b"bytes"))
    ) as servers:
        hub, storage = servers
        request = Request(url=f"{hub.url}/download", onward=Onward.ANYWHERE)
        with transport(hub) as web, web.stream(request) as reply:
            assert reply.response.read() == b"bytes"
            assert not reply.key_sent
        assert hub.seen[0].headers["authorization"] == f"Bearer {KEY}"
        assert "authorization" not in storage.seen[0].headers
        assert KEY not in hub.seen[0].path + storage.seen[0].path + str(storage.seen[0].headers)


def test_key_stays_away_once_the_chain_has_left_its_origin():
    """Hub to storage and back to the hub: whoever sent us there does not speak for the user."""

    def hub_answer(path: str) -> Answer:
        return Answer() if path == "/back" else redirect(f"{servers[1].url}/out")

    with serving(hub_answer, lambda _: redirect(f"{servers[0].url}/back")) as servers:
        with transport(servers[0]) as web, web.stream(Request(url=f"{servers[0].url}/start")):
            pass
        sent = ["authorization" in one.headers for one in servers[0].seen]
        assert sent == [True, False]


def test_key_is_kept_between_pages_of_its_own_origin():
    def answer(path: str) -> Answer:
        return Answer() if path == "/new" else redirect("/new", 308)

    with serving(answer) as [hub], transport(hub) as web:
        assert web.get_json(f"{hub.url}/old") == {}
        assert all("authorization" in one.headers for one in hub.seen)


def test_keys_belong_to_exact_hosts():
    """b2.civitai.com is a storage host that refuses a request with a key."""
    keys = hub_keys(
        Hub(civitai_url="http://127.0.0.1:8999", civitai_key=Secret("c"), huggingface_key=None)
    )
    assert set(keys) == {
        Origin("https", "civitai.com", 443),
        Origin("https", "www.civitai.com", 443),
        Origin("https", "civitai.red", 443),
        Origin("https", "civitai.green", 443),
        Origin("http", "127.0.0.1", 8999),
    }


def test_no_cookie_is_ever_sent_back():
    answer = Answer(headers={"Set-Cookie": "session=1; Path=/"})
    with serving(said(answer)) as [hub], transport() as web:
        web.get_json(f"{hub.url}/a")
        web.get_json(f"{hub.url}/b")
        assert all("cookie" not in one.headers for one in hub.seen)


def test_agent_is_ours_and_no_browsers():
    with serving(said(Answer())) as [hub], transport() as web:
        web.get_json(f"{hub.url}/a")
        agent = hub.seen[0].headers["user-agent"].lower()
        assert agent.startswith("comfylock/")
        assert not any(word in agent for word in ("mozilla", "chrome", "safari", "opera", "edge"))


def test_key_that_a_server_repeats_is_not_in_the_message():
    body = json.dumps({"error": f"bad Bearer {KEY} at https://a.b/c?token={KEY}&x=1"}).encode()
    with serving(said(Answer(status=401, body=body))) as [hub]:
        error = failure(hub, key=True)
        assert KEY not in error.message + str(error.hint)
        assert "does not accept the key" in error.message


# Where requests may lead


@pytest.mark.parametrize(
    "address",
    [
        "http://civitai.com/x",
        "ftp://civitai.com/x",
        "file:///etc/passwd",
        "https://civitai.com@evil.example/x",
        "https://user:pw@civitai.com/x",
        "https://civitai\u3002com/x",
        "https://civitai.com\\@evil.example/x",
        "https://civitai.com\t/x",
        "https://civitai.com /x",
        "https:///x",
        "//civitai.com/x",
        "civitai.com/x",
        "https://civitai.com:99999999/x",
        "https://\u0441ivitai.com/x",
        "http://127.0.0.1.evil.example/x",
        "http://[::ffff:1.2.3.4]/x",
    ],
)
def test_odd_addresses_are_refused(address: str):
    with pytest.raises(HostNotAllowedError) as caught:
        checked_address(address)
    assert "pw" not in caught.value.message


@pytest.mark.parametrize(
    "address",
    ["https://civitai.com/x?y=1", "http://127.0.0.1:80/x", "http://localhost:1/", "http://[::1]/x"],
)
def test_plain_addresses_pass(address: str):
    assert checked_address(address).host


@pytest.mark.parametrize(
    "location",
    [
        "http://civitai.com/x",
        "http://127.0.0.1/x",
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/x",
        "https://127.1/x",
        "https://0x7f000001/x",
        "https://2130706433/x",
        "https://localhost/x",
        "https://[::1]/x",
        "https://[64:ff9b::7f00:1%25lo]/x",
        "//user@civitai.com/x",
        "https://a.example\\b/",
        "javascript:alert(1)",
    ],
)
def test_a_public_host_cannot_redirect_into_the_private_network(location: str):
    with pytest.raises(HostNotAllowedError):
        next_address(checked_address("https://civitai.com/a"), location)


def test_relative_redirects_stay_where_they_are():
    here = checked_address("https://civitai.com/a/b?c=1")
    assert str(next_address(here, "../d?e=2")) == "https://civitai.com/d?e=2"
    assert next_address(here, "//civitai.red/x").host == "civitai.red"


def test_api_answer_from_a_stranger_is_refused():
    """A captive portal redirects everything to itself."""
    with serving(said(redirect("https://portal.example/login?x=1"))) as [hub]:
        error = failure(hub)
        assert isinstance(error, HostNotAllowedError)
        assert "portal.example" in error.message


def test_redirect_loop_ends():
    with serving(said(redirect("/again"))) as [hub]:
        error = failure(hub)
        assert isinstance(error, ServerError)
        assert len(hub.seen) == 11


def test_offline_asks_nobody():
    with serving(said(Answer())) as [hub], transport(offline=True) as web:
        with pytest.raises(OfflineError):
            web.get_json(f"{hub.url}/a")
        assert hub.seen == []


def test_at_most_eight_questions_are_open_at_once():
    """More threads than that may have one; a host is asked no more at a time."""
    guard, full = threading.Lock(), threading.Barrier(8)
    open_now, most = 0, 0

    def answer(_: str) -> Answer:
        nonlocal open_now, most
        with guard:
            open_now += 1
            most = max(most, open_now)
        full.wait(timeout=10)
        time.sleep(0.05)  # a ninth would be here by now
        with guard:
            open_now -= 1
        return Answer()

    with serving(answer) as [hub], transport() as web:
        paths = [f"{hub.url}/{number}" for number in range(24)]
        assert list(side_by_side(web.get_json, paths, workers=24)) == [{}] * 24
    assert most == 8


# What answers mean

HTML = {"Content-Type": "text/html"}
ZOD = b'{"error":{"name":"ZodError","message":"[{\\"message\\": \\"Invalid option\\"}]"}}'
PAGING = b'{"error":"You\'ve requested too many pages, please use cursors instead"}'
QUOTA = b'{"error":"We\'ve noticed an unusual amount of downloading from your account."}'


def test_types_are_repeated_and_text_is_quoted():
    with serving(said(Answer())) as [hub], transport() as web:
        params = [("query", "a b&c"), ("types", "LORA"), ("types", "DoRA")]
        web.get_json(f"{hub.url}/models", params)
        assert hub.seen[0].path == "/models?query=a%20b%26c&types=LORA&types=DoRA"


def test_raw_control_characters_in_json_are_accepted():
    with serving(said(Answer(body=b'{"name": "a\x0bb"}'))) as [hub], transport() as web:
        assert web.get_json(f"{hub.url}/a") == {"name": "a\x0bb"}


def test_post_carries_its_json():
    with serving(said(Answer(body=b"[]"))) as [hub], transport() as web:
        assert web.post_json(f"{hub.url}/a", ["ab"]) == []
        assert (hub.seen[0].method, hub.seen[0].body) == ("POST", b'["ab"]')


def test_gzip_is_unpacked():
    answer = Answer(body=gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})
    with serving(said(answer)) as [hub], transport() as web:
        assert web.get_json(f"{hub.url}/a") == {"a": 1}


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "deflate"])
def test_other_encodings_are_refused(encoding: str):
    answer = Answer(body=b"x", headers={"Content-Encoding": encoding})
    with serving(said(answer)) as [hub]:
        assert isinstance(failure(hub), ServerError)


def test_a_bomb_is_stopped_while_it_is_unpacked():
    bomb = gzip.compress(b"[" + b" " * (65 * 1024 * 1024) + b"]", 9)
    answer = Answer(body=bomb, headers={"Content-Encoding": "gzip"})
    with serving(said(answer)) as [hub]:
        assert "more than" in failure(hub).message


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Answer(body=b"<html>", headers={"Content-Type": "text/html"}), ServerError, "web page"),
        (Answer(body=b"{not json"), ServerError, "not JSON"),
        (Answer(body=b"[" * 100_000), ServerError, "not JSON"),
        (
            Answer(status=404, body=b"<html>", headers={"Content-Type": "text/html; x=y"}),
            ServerError,
            "404 with a web page",
        ),
        (Answer(status=404, body=b'{"error":"Model not found"}'), GoneError, "Model not found"),
        (Answer(status=403, body=b"<title>x</title>", headers=HTML), ForbiddenError, "web page"),
        (Answer(status=400, body=ZOD), ServerError, "Invalid option"),
        (Answer(status=429, body=PAGING), RateLimitedError, "too many pages"),
        (Answer(status=429, body=QUOTA), QuotaError, "unusual amount"),
        (Answer(status=429, headers={"Retry-After": "121"}), RateLimitedError, "wait 121 s"),
    ],
)  # fmt: skip
def test_final_answers_are_not_asked_again(answer: Answer, kind: type[ComfylockError], words: str):
    clock = Clock()
    with serving(said(answer)) as [hub]:
        error = failure(hub, clock=clock)
        assert isinstance(error, kind)
        assert words in error.message
        assert (len(hub.seen), clock.slept) == (1, [])


# Asking again


def test_trouble_passes_with_growing_pauses():
    clock = Clock()
    trouble = Answer(status=502, body=b"<html>", headers={"Content-Type": "text/html"})
    with serving(said(trouble, trouble, trouble, Answer())) as [hub], transport(clock=clock) as web:
        assert web.get_json(f"{hub.url}/a") == {}
        assert clock.slept == [1.0, 2.0, 4.0]


def test_trouble_that_stays_is_told_after_four_tries():
    clock = Clock()
    with serving(said(Answer(status=503, body=b'{"error":"overloaded"}'))) as [hub]:
        error = failure(hub, clock=clock)
        assert isinstance(error, ServerError)
        assert "503" in error.message
        assert "overloaded" in error.message
        assert len(hub.seen) == 4


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "2"}, 2.0),
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "soon"}, 1.0),
        ({}, 1.0),
    ],
)
def test_the_pause_that_the_server_asks_for_is_kept(headers: dict[str, str], pause: float):
    clock = Clock()
    slow_down = Answer(status=429, headers=headers, body=b"slow down")
    with serving(said(slow_down, Answer())) as [hub], transport(clock=clock) as web:
        web.get_json(f"{hub.url}/a")
        assert clock.slept == [pause]


def test_a_pause_holds_back_other_requests_too():
    clock = Clock()
    with serving(said(Answer())) as [hub], transport(clock=clock) as web:
        web.pause(hub.url, 7.0)
        web.get_json(f"{hub.url}/other")
        assert clock.slept == [7.0]


def test_backoff_stays_between_1_and_30_seconds():
    pauses = [backoff_s(attempt, chance) for attempt in range(40) for chance in (0.0, 0.999)]
    assert min(pauses) >= 1.0
    assert max(pauses) <= 30.0


def test_a_dead_host_is_tried_once_for_all():
    clock = Clock()
    with serving(said(Answer())) as [hub]:
        url = hub.url
    with transport(clock=clock) as web:
        for _ in range(2):
            with pytest.raises(NetworkError) as caught:
                web.get_json(f"{url}/a")
            assert "127.0.0.1" in caught.value.message
            assert caught.value.hint
        assert len(clock.slept) == 3


def test_a_dead_place_says_nothing_of_another_port_of_its_host():
    """Mirrors of both hubs on one machine."""
    with serving(said(Answer())) as [gone]:
        url = gone.url
    with serving(said(Answer())) as [hub], transport() as web:
        with pytest.raises(NetworkError):
            web.get_json(f"{url}/a")
        assert web.get_json(f"{hub.url}/a") == {}


def asked(web: Transport, server: Server) -> FetchError | None:
    """Ask for a file as downloads do: once, and trying again is the caller's business."""
    try:
        with web.stream(Request(url=f"{server.url}/x", onward=Onward.ANYWHERE)):
            return None
    except FetchError as error:
        return error


def test_a_host_that_has_never_answered_is_waited_for_once_and_not_by_each_download():
    clock = Clock()
    with serving(said(Answer())) as [hub]:
        pass
    with transport(clock=clock) as web:
        assert isinstance(asked(web, hub), PassingError)
        clock.sleep(10)
        assert isinstance(asked(web, hub), PassingError)
        clock.sleep(6)
        for _ in range(3):
            error = asked(web, hub)
            assert isinstance(error, NetworkError)
            assert not isinstance(error, PassingError)
            assert "127.0.0.1" in error.message
            assert "network" in str(error.hint)


def test_an_outage_of_a_host_that_has_answered_is_left_to_who_downloads():
    clock = Clock()
    with transport(clock=clock) as web:
        with serving(said(Answer())) as [hub]:
            assert asked(web, hub) is None
        for _ in range(3):
            clock.sleep(100)
            assert isinstance(asked(web, hub), PassingError)


def test_name_that_does_not_exist_is_told_with_the_host():
    with transport() as web, pytest.raises(NetworkError, match=r"no-such-host\.invalid"):
        web.get_json("https://no-such-host.invalid/a")


# Settings


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "proxy.example:3128"}, "http://proxy.example:3128"),
        ({"https_proxy": "http://a:1", "ALL_PROXY": "http://b:1"}, "http://a:1"),
        ({"ALL_PROXY": "http://b:1"}, "http://b:1"),
        ({"HTTP_PROXY": "http://c:1"}, None),
    ],
)
def test_proxy_comes_from_the_environment_that_is_passed_in(
    environment: dict[str, str], proxy: str | None
):
    assert proxy_of(environment) == proxy


def test_socks_proxy_is_an_error_with_a_hint():
    with pytest.raises(ConfigInvalidError) as caught:
        proxy_of({"ALL_PROXY": "socks5://user:pw@host:1"})
    assert "pw" not in caught.value.message


def test_loopback_never_goes_through_a_proxy():
    """The key would travel to the proxy in plain text."""
    with serving(said(Answer())) as [hub]:
        proxies = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "*.example.com,10.0.0.1"}
        with transport(hub, environment=proxies) as web:
            assert web.get_json(f"{hub.url}/a") == {}


def test_missing_certificates_are_a_setting_to_correct():
    environment = {"SSL_CERT_FILE": "/does/not/exist"}
    missing = pytest.raises(ConfigInvalidError, match="SSL_CERT_FILE")
    with transport(environment=environment) as web, missing:
        web.get_json("https://civitai.com/a")
