"""The door for tests in another process: ``/_standin/`` on the hub's origin, never logged.

GET requests, catalogue; POST reset, fault, configure, expire, clear-requests, clear-faults.
"""

import json
from dataclasses import asdict
from typing import Any, Final

from tests.standin.catalogue import Catalogue, Shelf
from tests.standin.faults import fault_from_dict
from tests.standin.filenames import download_filename
from tests.standin.messages import JSON_TYPE, Answer, Request, Text
from tests.standin.state import State

PREFIX: Final = "/_standin/"


def control(request: Request, state: State) -> Answer:
    """Look at the stand-in or change it; 400 says what was wrong with the request."""
    try:
        return _control(request, state)
    except (TypeError, ValueError) as error:
        return _said(400, {"error": str(error)})


def _control(request: Request, state: State) -> Answer:
    match request.method, request.path.removeprefix(PREFIX):
        case "GET", "requests":
            return _said(200, [asdict(one) for one in state.requests])
        case "GET", "catalogue":
            return _said(200, catalogue_rows(state.catalogue))
        case "POST", "reset":
            state.reset()
        case "POST", "clear-requests":
            state.clear_requests()
        case "POST", "clear-faults":
            state.clear_faults()
        case "POST", "expire":
            state.expire_addresses()
        case "POST", "fault":
            state.fault(fault_from_dict(_object(request)))
        case "POST", "configure":
            state.configure(_object(request))
        case _:
            return _said(404, {"error": f"no such control: {request.method} {request.path}"})
    return _said(200, {"ok": True})


def _said(status: int, document: Any) -> Answer:
    """Answer in strict JSON, unlike the hub: what reads this is a tool."""
    headers = (("Content-Type", JSON_TYPE),)
    return Answer(status=status, headers=headers, body=Text(json.dumps(document).encode()))


def _object(request: Request) -> dict[str, Any]:
    document = json.loads(request.body)
    if not isinstance(document, dict):
        raise TypeError("expected a JSON object")
    return document


def catalogue_rows(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return a row for each file, with the name that the site computes and the true hashes."""
    return [_row(shelf) for shelf in catalogue.shelves()]


def _row(shelf: Shelf) -> dict[str, Any]:
    return {
        "model": shelf.model.id,
        "version": shelf.version.id,
        "file": shelf.file.id,
        "name": download_filename(shelf.model, shelf.version, shelf.file),
        "type": shelf.model.type,
        "file_type": shelf.file.type,
        "model_name": shelf.model.name,
        "version_name": shelf.version.name,
        "size": shelf.file.size,
        "sha256": shelf.file.sha256,
        "blake3": shelf.file.blake3,
    }
