"""A hub behind TLS: whose certificate counts, and what is told of one that does not."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.disks import require
from tests.standin.client import ask
from tests.standin.faults import Fault
from tests.world import INK, SHELVES, Ran, World, pin_of

KEY = "loras/ink.safetensors"


@dataclass
class Front:
    """TLS before a plain server: decrypts, and passes on in both directions.

    Attributes:
        certificate: the file to trust it by.
        storage: address of the storage, which has one too.
    """

    certificate: Path
    storage: str


def certificate_for(name: str, folder: Path) -> tuple[Path, Path]:
    """Make a certificate that is valid for ten days, and its key."""
    require("openssl")
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    kind = "IP" if name[0].isdigit() else "DNS"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "10",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


def pass_on(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on to the end of them; what ends here ends there, without a word of TLS."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def relay(plain: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with (
        plain,
        suppress(OSError),
        context.wrap_socket(plain, server_side=True) as client,
        socket.create_connection(("127.0.0.1", port)) as server,
    ):
        back = threading.Thread(target=pass_on, args=(server, client))
        back.start()
        pass_on(client, server)
        back.join()


def serve(listening: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:
            return  # the test is over
        threading.Thread(target=relay, args=(plain, context, port), daemon=True).start()


@contextmanager
def fronting(address: str, context: ssl.SSLContext) -> Iterator[str]:
    """Listen with TLS before a plain address, and yield the address to use."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(address.rpartition(":")[2])
        thread = threading.Thread(target=serve, args=(listening, context, port))
        thread.start()
        try:
            yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture(params=["127.0.0.1"])
def front(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[Front]:
    """The hub of this world behind TLS; its certificate is for the name in the parameter."""
    certificate, key = certificate_for(request.param, tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with fronting(world.hub.url, context) as hub, fronting(world.hub.storage_url, context) as files:
        world.environment["COMFYLOCK_CIVITAI_URL"] = hub
        world.lock(pin_of(INK))
        yield Front(certificate, files)


def under_clock(world: World, clock: str, **variables: str) -> Ran:
    require("faketime")
    done = subprocess.run(
        ["faketime", "-f", clock, *world.command("install")],
        env=world.environment | variables | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"},
        cwd=world.project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


def assert_refused(world: World, ran: Ran, *words: str) -> None:
    assert (ran.code, f"error[network]: {KEY}: the certificate of 127.0.0.1" in ran.err) == (
        1, True,
    ), ran.err  # fmt: skip
    for word in words:
        assert word in ran.err
    assert "clock" in ran.err
    assert "SSL_CERT_FILE" in ran.err
    assert world.hub.requests == ()
    assert world.files() == {}


def test_a_certificate_that_the_user_names_is_trusted(world: World, front: Front) -> None:
    ran = world.run("install", SSL_CERT_FILE=str(front.certificate))
    assert (ran.code, world.has(KEY, INK)) == (0, True), ran.err


def test_a_certificate_of_nobody_is_refused_at_once(world: World, front: Front) -> None:
    del front
    assert_refused(world, world.run("install"), "self-signed certificate")


@pytest.mark.slow
@pytest.mark.parametrize("front", ["elsewhere.example"], indirect=True)
def test_a_certificate_of_another_host_is_refused(world: World, front: Front) -> None:
    ran = world.run("install", SSL_CERT_FILE=str(front.certificate))
    assert_refused(world, ran, "IP address mismatch")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clock", "words"), [("+1y", "certificate has expired"), ("-1y", "not yet valid")]
)
def test_a_certificate_out_of_its_time_is_told_with_the_advice_to_look_at_the_clock(
    world: World, front: Front, clock: str, words: str
) -> None:
    """Most often it is the clock that is wrong."""
    ran = under_clock(world, clock, SSL_CERT_FILE=str(front.certificate))
    assert_refused(world, ran, words)


def test_a_transfer_that_breaks_off_inside_tls_goes_on(world: World, front: Front) -> None:
    """The connection ends without TLS's own goodbye, as it does when a server dies."""
    shelf = SHELVES.shelf(INK)
    asked = ask(f"{world.hub.url}/api/download/models/{shelf.version.id}?fileId={INK}")
    plain = asked.headers["location"]
    location = plain.replace(world.hub.storage_url, front.storage)
    world.hub.clear_requests()
    world.hub.fault(Fault(kind="redirect", location=location, origin="api", times=None))
    world.hub.fault(Fault(kind="truncate", nbytes=123_456, origin="storage"))
    ran = world.run("install", "-v", SSL_CERT_FILE=str(front.certificate))
    assert (ran.code, world.has(KEY, INK)) == (0, True), ran.err
    assert [entry.headers.get("range") for entry in world.downloads()] == [None, "bytes=123456-"]
