"""One thing to ask a server for, and where its redirects may lead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Onward(Enum):
    """Where the redirects of a request may lead."""

    HUBS = "hubs"  # questions to the API
    ANYWHERE = "anywhere"  # model bytes: storage hosts change, the hash decides
    NOWHERE = "nowhere"  # the redirect itself is the answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One thing to ask for.

    Attributes:
        url: full address, never with a key in it.
        method: ``GET``, ``POST`` or ``HEAD``, which hangs or lies at Civitai.
        headers: more headers, the same at every hop; never a key.
        content: body of a POST.
        onward: where redirects may lead.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content: bytes | None = None
    onward: Onward = Onward.HUBS
