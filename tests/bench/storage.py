"""Where bench downloads come from: nginx as the hub and its storage, else the stand-in.

The stand-in is a Python program and makes its bytes as it sends them: on a machine with few
processors it is slower than what it should measure, so its ratios lean towards 1.
"""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256, shake_256
from pathlib import Path

from blake3 import blake3

from comfylock.artifacts import CivitaiSource, FileId, ModelId, VersionId
from comfylock.hashes import Digests
from comfylock.lockfile.model import Evidence, Pin
from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.server import Standin

_BLOCK_BYTES = 1 << 20
_CONFIGURATION = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  sendfile on;
  default_type application/octet-stream;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location /api/download/models/ {{ return 307 http://$http_host/files/$arg_fileId; }}
    location /files/ {{ root {folder}; limit_rate {limit}; }}
  }}
}}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shop:
    """A place to download from.

    Attributes:
        url: the hub.
        pins: what there is.
        server: what it runs on, for the table.
    """

    url: str
    pins: tuple[Pin, ...]
    server: str

    def address(self, pin: Pin) -> str:
        """Return where a file is downloaded from."""
        source = pin.sources[0]
        assert isinstance(source, CivitaiSource)
        return f"{self.url}/api/download/models/{source.version}?fileId={source.file}"


@contextmanager
def opened_shop(sizes: Sequence[int], bytes_per_s: int | None = None) -> Iterator[Shop]:
    """Serve one file of each size.

    Args:
        sizes: bytes.
        bytes_per_s: what one connection gets at most.
    """
    if shutil.which("nginx") is None:
        with _standin_shop(sizes, bytes_per_s) as shop:
            yield shop
        return
    with tempfile.TemporaryDirectory(prefix="comfylock-bench-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx gives up being root
        (folder / "files").mkdir()
        pins = tuple(_made(folder / "files", number, size) for number, size in enumerate(sizes, 1))
        port = _free_port()
        limit = bytes_per_s or 0
        text = _CONFIGURATION.format(folder=folder, port=port, limit=limit)
        (folder / "nginx.conf").write_text(text)
        nginx = subprocess.Popen(
            ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-g", "daemon off;"]
        )
        try:
            _wait_for(port)
            yield Shop(url=f"http://127.0.0.1:{port}", pins=pins, server="nginx")
        finally:
            nginx.terminate()
            nginx.wait()


@contextmanager
def _standin_shop(sizes: Sequence[int], bytes_per_s: int | None) -> Iterator[Shop]:
    catalogue = Catalogue.of(
        [
            model(
                number,
                f"Bench {number}",
                "LORA",
                versions=[
                    version(number, "v1", files=[file(number, f"{number}.safetensors", size=size)])
                ],
            )
            for number, size in enumerate(sizes, 1)
        ]
    )
    with Standin(catalogue) as hub:
        hub.configure(throttle_per_connection=bytes_per_s)
        held = [hub.catalogue.file(number) for number in range(1, len(sizes) + 1)]
        pins = tuple(
            _pin(number, one.size, Digests(sha256=one.sha256, blake3=one.blake3))
            for number, one in enumerate(held, 1)
        )
        yield Shop(url=hub.url, pins=pins, server="the stand-in (no nginx here: ratios are soft)")


def _made(folder: Path, number: int, size: int) -> Pin:
    """Write a file whose blocks all differ, and return its pin."""
    block = shake_256(str(number).encode()).digest(_BLOCK_BYTES - 8)
    length = 120
    head = length.to_bytes(8, "little") + b'{"w":{}}'.ljust(length)
    secure, fast = sha256(), blake3()
    with (folder / str(number)).open("wb") as target:
        for count in range(size // _BLOCK_BYTES):
            data = count.to_bytes(8) + block
            data = head + data[len(head) :] if count == 0 else data
            target.write(data)
            secure.update(data)
            fast.update(data)
    digests = Digests(sha256=secure.hexdigest(), blake3=fast.hexdigest())
    return _pin(number, size // _BLOCK_BYTES * _BLOCK_BYTES, digests)


def _pin(number: int, size: int, digests: Digests) -> Pin:
    return Pin(
        key=f"loras/bench-{number}.safetensors",
        size=size,
        digests=digests,
        evidence=Evidence.FILENAME,
        sources=(
            CivitaiSource(model=ModelId(number), version=VersionId(number), file=FileId(number)),
        ),
    )


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return
