"""Each refusal that Civitai and its neighbours send, and the error that it becomes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock.errors import (
    AuthRequiredError,
    ComfylockError,
    EarlyAccessError,
    FetchError,
    ForbiddenError,
    GoneError,
    QuotaError,
    RateLimitedError,
    ServerError,
)
from comfylock.names import shown
from comfylock.web.faults import PassingError, Refusal, fault_of, retry_after_s


def fault(
    status: int,
    body: object = b"",
    *,
    html: bool = False,
    key: bool = False,
    host: str = "civitai.com",
) -> FetchError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if html else "application/json"
    return fault_of(Refusal(host=host, status=status, content_type=kind, body=raw, key_sent=key))


LOGIN = {
    "error": "Unauthorized",
    "message": "The creator of this asset requires you to be logged in to download it",
}
DISABLED = {
    "error": "Unauthorized",
    "message": "The creator of this asset has disabled downloads on this file",
}
EARLY = {
    "error": "Early Access",
    "deadline": "2026-12-01T00:00:00.000Z",
    "message": "This asset is in Early Access. You can use Buzz access it now!",
}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, {"error": "Missing modelVersionId"}, ServerError, "Missing modelVersionId"),
        (400, {"message": "Invalid cursor: expected 3"}, ServerError, "Invalid cursor"),
        (401, {"error": "Unauthorized"}, AuthRequiredError, "Unauthorized"),
        (401, LOGIN, AuthRequiredError, "requires you to be logged in"),
        (401, DISABLED, ForbiddenError, "disabled downloads"),
        (403, EARLY, EarlyAccessError, "until 2026-12-01"),
        (403, {"error": "You do not have access to download this file"}, ForbiddenError, "access"),
        (403, {"error": "Forbidden"}, ForbiddenError, "Forbidden"),
        (404, {"error": "File not found"}, GoneError, "File not found"),
        (404, b"<html>lost</html>", GoneError, "(404): it sent a web page"),
        (405, {"error": "Method not allowed"}, ServerError, "405"),
        (410, {"error": "Model archived, not available for download"}, GoneError, "archived"),
        (429, {"error": "We've noticed an unusual amount of downloading"}, QuotaError, "unusual"),
        (429, {"error": "You've requested too many pages"}, RateLimitedError, "too many pages"),
        (429, b"", RateLimitedError, "slow down"),
        (451, {"error": "not available in your region"}, ForbiddenError, "region"),
        (500, {"message": "An unexpected error occurred", "error": "x"}, ServerError, "unexpected"),
        (503, {"error": "Model search is temporarily overloaded"}, ServerError, "overloaded"),
        (524, b"", ServerError, "524"),
    ],
)
def test_status_and_body_tell_the_fault(
    status: int, body: object, kind: type[ComfylockError], words: str
):
    error = fault(status, body)
    assert isinstance(error, kind)
    assert words in error.message
    assert "civitai.com" in error.message


def test_missing_key_has_a_hint_that_says_where_to_get_one():
    assert fault(401, LOGIN).hint == (
        "Make a key at https://civitai.com/user/account, then run `comfylock auth login` or set "
        "CIVITAI_TOKEN"
    )
    assert "HF_TOKEN" in str(fault(401, b"", host="huggingface.co").hint)


def test_key_that_is_not_accepted_is_told_apart_from_a_missing_one():
    assert "only with a key" in fault(401, LOGIN).message
    assert "does not accept the key" in fault(401, LOGIN, key=True).message


def test_early_access_without_a_date_has_none():
    error = fault(403, {"error": "Early Access", "message": "soon"})
    assert isinstance(error, EarlyAccessError)
    assert "until" not in error.message


def test_block_page_of_the_edge_is_not_the_files_fault():
    page = b"<html><title>Attention Required! | Cloudflare</title>" + b"x" * 9999
    error = fault(403, page, html=True)
    assert isinstance(error, ForbiddenError)
    assert "web page" in error.message


def test_xml_of_a_storage_host_is_read():
    body = (
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Expired</Message></Error>'
    )
    assert "AccessDenied - Expired" in fault(403, body).message


@pytest.mark.parametrize(
    ("status", "passing"), [(500, True), (429, True), (400, False), (403, False)]
)
def test_what_may_pass_is_marked(status: int, passing: bool):
    assert isinstance(fault(status, b"x"), PassingError) is passing


def test_text_is_cut_cleaned_and_without_queries():
    text = "\x1b[31m see https://x.example/a?X-Amz-Signature=abc&b=1 token=abc " + "y" * 500
    message = fault(500, {"error": text}).message
    assert "\x1b" not in message
    assert "abc" not in message
    assert len(message) < 300


@given(st.integers(300, 599), st.binary(max_size=200), st.booleans())
def test_any_answer_becomes_an_error_with_printable_text(status: int, body: bytes, html: bool):
    error = fault(status, body, html=html)
    assert shown(error.message) == error.message


FIELDS = st.sampled_from(["error", "message", "deadline", "x"])
ANY_JSON = st.recursive(
    st.none() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner),
)


@given(ANY_JSON)
def test_any_json_becomes_an_error(body: object):
    assert isinstance(fault(403, body), FetchError)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "99999999999999999999"}, None),
        ({"retry-after": "Tue, 01 Sep 2026 10:00:37 GMT"}, None),
        (
            {
                "retry-after": "Tue, 01 Sep 2026 10:00:37 GMT",
                "date": "Tue, 01 Sep 2026 10:00:00 GMT",
            },
            37.0,
        ),
        (
            {
                "retry-after": "Tue, 01 Sep 2026 09:00:00 GMT",
                "date": "Tue, 01 Sep 2026 10:00:00 GMT",
            },
            0.0,
        ),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_own_clock(
    headers: dict[str, str], seconds: float | None
):
    assert retry_after_s(headers) == seconds
