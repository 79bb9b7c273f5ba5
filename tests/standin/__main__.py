"""Run the stand-in from a shell: ``python -m tests.standin``."""

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from tests.standin.catalogue import read_catalogue
from tests.standin.server import Standin


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    options = _options()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    standin = Standin(
        None if options.catalogue is None else read_catalogue(options.catalogue),
        anonymous_downloads=not options.require_login,
        keys=tuple(options.key or ["standin-key"]),
        api_port=options.port,
        storage_port=options.storage_port,
        log_path=options.log,
    )
    with standin as hub:
        print(f"Civitai stand-in: {hub.url} (storage {hub.storage_url})", flush=True)
        if options.ready_file is not None:
            _say_ready(options.ready_file, hub)
        stop.wait()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=__doc__)
    parser.add_argument("--catalogue", type=Path, metavar="FILE", help="TOML; default: bundled")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of the hub")
    parser.add_argument("--storage-port", type=int, default=0, metavar="N")
    parser.add_argument("--ready-file", type=Path, metavar="PATH", help="JSON, once listening")
    parser.add_argument("--log", type=Path, metavar="FILE", help="JSON lines, one a request")
    parser.add_argument("--require-login", action="store_true", help="no download without a key")
    parser.add_argument("--key", action="append", metavar="KEY", help="a good key; repeatable")
    return parser.parse_args()


def _say_ready(path: Path, hub: Standin) -> None:
    """Write the addresses at once, so that a waiting reader never sees half a file."""
    document = {"url": hub.url, "storage_url": hub.storage_url, "pid": os.getpid()}
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(document) + "\n", encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
