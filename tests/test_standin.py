"""The stand-in behaves as the site is known to behave: whoever passes against it can trust that."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from blake3 import blake3

from tests.standin.catalogue import bundled_catalogue, file, model, version
from tests.standin.client import KEY, Reply, ask
from tests.standin.filenames import download_filename, filenamize, primary_file
from tests.standin.payload import BLOCK_BYTES, Content, Payload, true_hashes
from tests.standin.search import distance, document_of, match, words_of
from tests.standin.server import Standin

JUGGERNAUT = (133005, 357609, 285921)


@pytest.fixture(scope="module")
def shared() -> Iterator[Standin]:
    with Standin() as hub:
        yield hub


@pytest.fixture
def hub(shared: Standin) -> Standin:
    shared.reset()
    return shared


def api(hub: Standin, path: str, **options: Any) -> Reply:
    return ask(f"{hub.url}/api/v1{path}", **options)


def download(hub: Standin, version_id: int, query: str = "", **options: Any) -> Reply:
    return ask(f"{hub.url}/api/download/models/{version_id}{query}", **options)


def listed(hub: Standin, query: str) -> list[str]:
    return [one["name"] for one in api(hub, f"/models?{query}").json()["items"]]


# --- bytes and names ---------------------------------------------------------------------------


def test_bytes_are_the_same_however_they_are_cut():
    """Any range of a payload is that range of the whole."""
    payload = Payload(seed="a", size=3 * BLOCK_BYTES + 5, content=Content.SAFETENSORS)
    whole = payload.read()
    assert len(whole) == payload.size
    start, stop = BLOCK_BYTES - 3, 2 * BLOCK_BYTES + 7
    assert payload.read(start, stop) == whole[start:stop]
    assert whole[BLOCK_BYTES : 2 * BLOCK_BYTES] != whole[2 * BLOCK_BYTES : 3 * BLOCK_BYTES]


def test_safetensors_are_valid_and_hashes_are_true():
    """The header's one tensor fills the file, and the recorded hashes are those of the bytes."""
    payload = Payload(seed="b", size=2_000_128, content=Content.SAFETENSORS)
    data = payload.read()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert header["w"]["data_offsets"] == [0, len(data) - 8 - length]
    hashes = true_hashes(payload)
    sha256 = hashlib.sha256(data).hexdigest().upper()
    assert hashes["SHA256"] == sha256
    assert hashes["AutoV2"] == sha256[:10]
    assert hashes["BLAKE3"] == blake3(data).hexdigest().upper()
    tensors = hashlib.sha256(data[8 + length :]).hexdigest().upper()
    assert hashes["AutoV3"] == tensors[:12]
    assert len(hashes["AutoV1"]) == len(hashes["CRC32"]) == 8


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.pth", b"PK\x03\x04"), ("a.pt", b"\x80\x02"), ("a.gguf", b"GGUF")],
)
def test_files_start_as_their_format_does(name: str, start: bytes):
    """The first bytes fit the name's extension."""
    assert file(1, name).payload.head.startswith(start)


@pytest.mark.parametrize(
    ("model_name", "version_name", "expected"),
    [
        ("Juggernaut XL", "V9 + RDPhoto 2_Lightning_4S", "juggernautXL_v9Rdphoto2Lightning"),
        ("WAI-illustrious-SDXL", "v16.0", "waiIllustriousSDXL_v160"),
        ("Animagine XL 4.0", "v4 Opt", "animagineXL40_v4Opt"),
        ("DreamShaper", "8", "dreamshaper_8"),
        ("FLUX", "Dev", "flux_dev"),
        (
            "Pony Diffusion V6 XL",
            "V6 (start with this one)",
            "ponyDiffusionV6XL_v6StartWithThisOne",
        ),
        ("CyberRealistic Z-Image Turbo", "v8.0", "cyberrealisticZImage_v80"),
        ("WAI-ANIMA", "v1.0(base 1.0)", "waiANIMA_v10Base10"),
    ],
)
def test_file_names_are_computed_from_model_and_version(
    model_name: str, version_name: str, expected: str
):
    """Recorded names come out of the recorded titles."""
    one = file(1, "whatever.safetensors")
    each = version(2, version_name, files=[one])
    owner = model(3, model_name, "Checkpoint", versions=[each])
    assert download_filename(owner, each, one) == f"{expected}.safetensors"


def test_some_files_keep_the_name_of_their_upload():
    """LoRAs, VAE files and overridden names are not computed; embeddings use their trigger."""
    lora = bundled_catalogue().shelf(9200019)
    assert download_filename(lora.model, lora.version, lora.file) == "add-detail-xl.safetensors"
    hands = bundled_catalogue().shelf(9200015)
    assert download_filename(hands.model, hands.version, hands.file) == "quiet_hands-neg.pt"
    sharp = bundled_catalogue().shelf(93203)
    shown = download_filename(sharp.model, sharp.version, sharp.file, with_override=False)
    assert shown == "4xUltrasharp_v10.pth"
    assert filenamize("!'!") == ""


def test_primary_goes_by_type_then_format_then_size():
    """Type weighs most, then format, size and precision; a draw goes to the first."""
    text = file(1, "t.safetensors", type="Text Encoder", variant="pruned", fp="fp16")
    pickle = file(2, "p.ckpt", variant="pruned", fp="fp16")
    full = file(3, "f.safetensors", variant="full")
    unset = file(4, "u.safetensors")
    assert primary_file([text, pickle, full, unset]) == unset
    assert primary_file([text, pickle, full]) == full
    assert primary_file([text, pickle]) == pickle
    assert primary_file([]) is None


# --- the four shapes ---------------------------------------------------------------------------


def keys(text: str) -> set[str]:
    return set(text.split())


ITEM_KEYS = keys(
    "id name description allowNoCredit allowCommercialUse allowDerivatives allowDifferentLicense "
    "type minor sfwOnly poi nsfw nsfwLevel availability userId baseModels cosmetic "
    "supportsGeneration stats creator tags modelVersions"
)
LIST_VERSION_KEYS = keys(
    "id index name baseModel baseModelType publishedAt flags availability nsfwLevel description "
    "trainedWords vaeId paidAccess stats supportsGeneration files images downloadUrl"
)
LIST_FILE_KEYS = keys(
    "id sizeKB name overrideName type pickleScanResult pickleScanMessage virusScanResult "
    "virusScanMessage scannedAt metadata hashes downloadUrl primary"
)
VERSION_KEYS = keys(
    "id modelId name nsfwLevel createdAt updatedAt status publishedAt trainedWords trainingStatus "
    "trainingDetails baseModel baseModelType description uploadType usageControl licensingFee "
    "paidAccess air stats model files images downloadUrl"
)


def test_list_items_have_the_keys_that_were_recorded(hub: Standin):
    """Item, version and file of a list have exactly the recorded keys."""
    items = api(hub, "/models?ids=2851602&nsfw=true").json()["items"]
    assert set(items[0]) == ITEM_KEYS
    shown = items[0]["modelVersions"][0]
    assert set(shown) == LIST_VERSION_KEYS
    assert set(shown["files"][0]) == LIST_FILE_KEYS
    assert shown["files"][0]["metadata"] == {"format": "SafeTensor", "fp": "bf16"}
    assert shown["files"][0]["name"] == "Pocahontas_Krea2_byKonan.safetensors"


def test_only_the_primary_file_says_so_in_a_list(hub: Standin):
    """The key is true or absent; both files of this version share a name."""
    (item,) = api(hub, "/models?ids=618692").json()["items"]
    files = item["modelVersions"][0]["files"]
    assert [one["name"] for one in files] == ["flux_dev.safetensors"] * 2
    assert [one.get("primary") for one in files] == [None, True]
    assert files[1]["downloadUrl"] == f"{hub.url}/api/download/models/691639"
    assert "type=Diffusion%20Model&format=SafeTensor&size=full&fp=fp16" in files[0]["downloadUrl"]
    (trimmed,) = api(hub, "/models?ids=618692&primaryFileOnly=true").json()["items"]
    assert [one["id"] for one in trimmed["modelVersions"][0]["files"]] == [9200007]


def test_a_model_page_drops_what_is_empty(hub: Standin):
    """Nulls and empty lists are gone from its versions, which know their status."""
    page = api(hub, "/models/133005").json()
    assert [one["id"] for one in page["modelVersions"]] == [9100001, 357609]
    shown = page["modelVersions"][1]
    assert {"status", "createdAt", "covered"} <= set(shown)
    assert not {"trainedWords", "vaeId", "paidAccess", "supportsGeneration"} & set(shown)
    assert shown["files"][0]["downloadUrl"].endswith("/357609?fileId=285921")


def test_a_version_object_has_three_metadata_keys_and_an_air(hub: Standin):
    """Unset metadata is null there, and primary is always said."""
    shown = api(hub, "/model-versions/135867").json()
    assert set(shown) == VERSION_KEYS
    assert shown["air"] == "urn:air:sdxl:lora:civitai:122359@135867"
    assert shown["files"][0]["metadata"] == {"format": "SafeTensor", "size": None, "fp": None}
    assert shown["files"][0]["primary"] is True
    assert shown["files"][0]["sizeKB"] == 3.0


def test_a_linked_vae_is_listed_under_the_version_that_links_it(hub: Standin):
    """It has the type VAE, its own name, and an address by type, not by file id."""
    files = api(hub, "/model-versions/2983680").json()["files"]
    assert [(one["name"], one["type"], one["primary"]) for one in files] == [
        ("waiANIMA_v10Base10_txt.safetensors", "Text Encoder", False),
        ("waiANIMA_v10Base10.safetensors", "Model", True),
        ("qwen_image_vae.safetensors", "VAE", False),
    ]
    assert "?type=VAE" in files[2]["downloadUrl"]
    assert download(hub, 2983680, "?type=VAE").status == 307
    assert download(hub, 2983680, "?fileId=9200013").status == 404


def test_names_differ_between_endpoints_where_the_site_forgets_the_override(hub: Standin):
    """By hash the override counts, by version id it does not, and mini says the raw one."""
    sha256 = hub.catalogue.file(93203).sha256
    by_id = api(hub, "/model-versions/125843").json()
    by_hash = api(hub, f"/model-versions/by-hash/{sha256}").json()
    assert by_id["files"][0]["name"] == "4xUltrasharp_v10.pth"
    assert by_hash["files"][0]["name"] == "4x-UltraSharp.pth"
    mini = api(hub, "/model-versions/mini/357609").json()
    assert mini["fileName"] == "Juggernaut_RunDiffusionPhoto2_Lightning_4Steps.safetensors"


def test_oddities_of_real_answers_are_there(hub: Standin):
    """Raw control characters, a number for a name, null counters, no hashes, a wrong size."""
    raw = api(hub, "/models/9000039").body
    assert b"Bell\x07 and Whistle" in raw
    assert b"line one\\nline two \x01" in raw
    numbered = api(hub, "/models/9000040").json()
    assert numbered["creator"]["username"] == 20240101
    assert numbered["stats"]["downloadCount"] is None
    assert api(hub, "/model-versions/9100038").json()["files"][0]["hashes"] == {}
    assert api(hub, "/model-versions/9100042").json()["files"][0]["sizeKB"] == 4096.5
    wrong = api(hub, "/model-versions/9100041").json()["files"][0]["hashes"]["SHA256"]
    assert wrong.endswith("DEADBEEF")


def test_addresses_carry_the_host_that_was_called(hub: Standin):
    """The request's Host comes back in every address."""
    answer = api(hub, "/model-versions/357609", headers={"Host": "localhost:1"})
    assert answer.json()["downloadUrl"] == "http://localhost:1/api/download/models/357609"


# --- lists and search --------------------------------------------------------------------------


def test_search_ranks_popular_decoys_before_the_exact_name(hub: Standin):
    """More thumbs-up beat a better name; the right model is on the page all the same."""
    names = listed(hub, "query=juggernaut%20XL&nsfw=true")
    assert names.index("XL Juggernaut Armour (Marvel)") < names.index("Juggernaut XL")
    only = listed(hub, "query=juggernaut%20XL&nsfw=true&types=Checkpoint")
    assert only[:2] == ["Not Juggernaut XL but better", "Juggernaut XL"]


def test_search_knows_no_file_names(hub: Standin):
    """A file's name finds nothing, unless its first words are a model's."""
    assert listed(hub, "query=waiIllustriousSDXL_v160.safetensors&nsfw=true") == []
    assert "Juggernaut XL" in listed(hub, "query=juggernautXL_v9Rdphoto2Lightning&nsfw=true")


def test_search_matches_words_as_the_index_does():
    """Splits in two, joined neighbours, prefix of the last word, typos in long words."""
    document = document_of(
        model(
            1,
            "Juggernaut XL waterpainting",
            "LORA",
            versions=[version(2, "v", files=[file(3, "a.safetensors")], trained_words=["ink"])],
        )
    )
    assert document is not None

    def matched(query: str) -> int:
        return match(words_of(query), document)[0]

    assert matched("juggernautxl") == 1
    assert matched("jugger naut xl") == 3
    assert matched("juggernaut wat") == 2
    assert matched("jugger water") == 0
    assert matched("waterpaintnig") == 1
    assert matched("waterpanitnig") == 0
    assert matched("waterpainting") == 1
    assert matched("waterpaimting") == 1
    assert matched("unknown juggernaut") == 0
    assert matched("juggernaut unknown") == 1
    assert matched("ink") == 1
    assert distance("kitten", "sitting") == 3
    assert distance("abc", "acb") == 1


def test_a_hash_is_a_search_word_but_autov1_is_not(hub: Standin):
    """SHA256 and AutoV2 find the model, the oldest hash does not."""
    hashes = hub.catalogue.file(JUGGERNAUT[2]).recorded_hashes
    assert listed(hub, f"query={hashes['AutoV2']}&nsfw=true") == ["Juggernaut XL"]
    assert listed(hub, f"query={hashes['SHA256'].lower()}&nsfw=true") == ["Juggernaut XL"]
    assert listed(hub, f"query={hashes['AutoV1']}&nsfw=true") == []


def test_each_browsing_mode_hides_what_the_other_shows(hub: Standin):
    """Without nsfw only PG models, with it no minor-flagged ones; unrated in neither."""
    both = "Storybook Children", "Boudoir Light", "Unrated Upload"
    for way in ("query={}", "limit=100&username=someone"):
        quiet = [name for one in both for name in listed(hub, way.format(quote(one)))]
        loud = [name for one in both for name in listed(hub, way.format(quote(one)) + "&nsfw=true")]
        assert "Storybook Children" in quiet
        assert "Storybook Children" not in loud
        assert "Boudoir Light" in loud
        assert "Boudoir Light" not in quiet
        assert "Unrated Upload" not in quiet + loud


@pytest.mark.parametrize(
    "hidden",
    ["Archived Landscape", "Famous Person", "Deleted Dream", "Stale Page", "Unlisted Version"],
)
def test_hidden_models_are_not_found(hub: Standin, hidden: str):
    """Archived, POI, deleted, stale and unlisted models are missing from a search."""
    assert hidden not in listed(hub, f"query={quote(hidden)}&nsfw=true")


def test_archived_models_are_listed_on_request(hub: Standin):
    """Any non-empty value counts as true, as the site's coercion has it."""
    query = "query=archived%20landscape&archived=false"
    (item,) = api(hub, f"/models?{query}").json()["items"]
    assert item["mode"] == "Archived"
    assert item["modelVersions"][0]["files"] == []
    assert "downloadUrl" not in item["modelVersions"][0]


def test_a_search_page_is_cut_before_it_is_filtered(hub: Standin):
    """A page can be empty while the next one has the model; the cursor is an offset."""
    query = "query=juggernaut&nsfw=true&limit=2&baseModels=SDXL%20Lightning"
    first = api(hub, f"/models?{query}").json()
    assert first["items"] == []
    assert first["metadata"]["nextCursor"] == "2"
    assert first["metadata"]["nextPage"] == f"{hub.url}/api/v1/models?{query}&cursor=2"
    second = ask(first["metadata"]["nextPage"]).json()
    assert [one["name"] for one in second["items"]] == ["Juggernaut XL"]
    assert [one["id"] for one in second["items"][0]["modelVersions"]] == [357609]
    assert second["metadata"] == {}


def test_lists_without_a_query_page_by_sort_key(hub: Standin):
    """Following cursors visits every model once, best rated first."""
    names: list[str] = []
    query = "/models?limit=10&nsfw=true"
    for _ in range(20):
        page = api(hub, query).json()
        names += [one["name"] for one in page["items"]]
        cursor = page["metadata"].get("nextCursor")
        if cursor is None:
            break
        assert cursor.count("|") == 2
        query = f"/models?limit=10&nsfw=true&cursor={quote(cursor)}"
    assert names == listed(hub, "limit=100&nsfw=true")
    assert len(names) == len(set(names)) > 30


def test_page_numbers_do_not_advance(hub: Standin):
    """Page 2 shows page 1 again, and says that it is page 2."""
    answer = api(hub, "/models?limit=3&page=2").json()
    assert answer["metadata"]["currentPage"] == 2
    assert [one["name"] for one in answer["items"]] == listed(hub, "limit=3")


def test_ids_come_with_commas_or_repeated_and_versions_are_narrowed(hub: Standin):
    """Both forms work for ids; version ids alone hide what is not public."""
    assert len(listed(hub, "ids=122359,58390&nsfw=true")) == 2
    assert len(listed(hub, "ids=122359&ids=58390&nsfw=true")) == 2
    (item,) = api(hub, "/models?modelVersionIds=9100013").json()["items"]
    assert [one["id"] for one in item["modelVersions"]] == [9100013]
    assert listed(hub, "modelVersionIds=9100024") == []
    assert listed(hub, "ids=9000024") == ["Early Bird Style"]


@pytest.mark.parametrize(
    "query",
    [
        "types=Checkpiont",
        "types=LORA,Checkpoint",
        "limit=101",
        "nsfw=maybe",
        "browsingLevel=31",
        "fileFormats=SafeTensor",
        "sort=Best",
    ],
)
def test_wrong_parameters_are_zod_errors(hub: Standin, query: str):
    """The error is an object whose message is JSON again."""
    answer = api(hub, f"/models?{query}")
    assert answer.status == 400
    assert answer.json()["error"]["name"] == "ZodError"
    assert json.loads(answer.json()["error"]["message"])[0]["path"] == [query.partition("=")[0]]


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        (
            "query=a&page=2",
            400,
            {"error": "Cannot use page param with query search. Use cursor-based pagination."},
        ),
        (
            "page=11",
            429,
            {"error": "You've requested too many pages, please use cursors instead"},
        ),
        (
            "cursor=5",
            400,
            {"message": "Invalid cursor: expected 3 value(s) for this sort, received 1"},
        ),
        ("favorites=false", 401, {"error": "Unauthorized"}),
    ],
)
def test_refused_lists_say_why(hub: Standin, query: str, status: int, body: Any):
    """The exact bodies of refusals."""
    answer = api(hub, f"/models?{query}")
    assert (answer.status, answer.json()) == (status, body)


def test_types_may_be_repeated(hub: Standin):
    """A repeated parameter is an or."""
    found = api(hub, "/models?types=Upscaler&types=VAE&nsfw=true").json()["items"]
    assert {one["type"] for one in found} == {"Upscaler", "VAE"}


# --- by id and by hash -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/models/999999999", 404, {"error": "No model with id 999999999"}),
        ("/models/9000027", 404, {"error": "No model with id 9000027"}),
        ("/models/9000030", 404, {"error": "No model with id 9000030"}),
        ("/model-versions/999999999", 404, {"error": "Model not found"}),
        ("/model-versions/9100030", 404, {"error": "Model not found"}),
        ("/model-versions/9100045", 404, {"error": "Missing model file"}),
        ("/model-versions/0", 400, {"error": "Missing modelVersionId"}),
        (
            "/model-versions/abc",
            400,
            {"error": "✖ Invalid input: expected number, received NaN\n  → at id"},
        ),
        (
            "/model-versions/mini/357609?modelFileId=5",
            404,
            {"error": "Model file 5 not found in version 357609"},
        ),
        ("/me", 401, {"error": "Unauthorized"}),
    ],
)
def test_errors_by_id_have_the_texts_of_the_site(hub: Standin, path: str, status: int, body: Any):
    """The exact bodies of errors by id."""
    answer = api(hub, path)
    assert (answer.status, answer.json()) == (status, body)


def test_a_version_outlives_its_unpublished_model(hub: Standin):
    """By version id only the version's own status counts."""
    assert api(hub, "/models/9000029").status == 404
    assert api(hub, "/model-versions/9100029").status == 200


def test_a_stale_page_has_lost_its_versions(hub: Standin):
    """The page is there and empty, while the version answers."""
    assert api(hub, "/models/9000043").json()["modelVersions"] == []
    assert api(hub, "/model-versions/9100043").status == 200


@pytest.mark.parametrize("kind", ["AutoV2", "AutoV3", "SHA256", "CRC32", "BLAKE3"])
def test_any_recorded_hash_finds_its_version(hub: Standin, kind: str):
    """Exact and whatever the case; cached for an hour."""
    digest = hub.catalogue.file(JUGGERNAUT[2]).recorded_hashes[kind]
    answer = api(hub, f"/model-versions/by-hash/{digest.lower()}")
    assert answer.json()["id"] == JUGGERNAUT[1]
    assert "s-maxage=3600" in answer.headers["cache-control"]
    shorter = api(hub, f"/model-versions/by-hash/{digest[:-1]}")
    assert (shorter.status, shorter.json()) == (404, {"error": "Model not found"})
    assert "s-maxage=3600" in shorter.headers["cache-control"]


def test_by_hash_names_the_earliest_upload_and_sees_the_unrated(hub: Standin):
    """The same bytes under two models give the older one; ratings do not matter here."""
    mirror = hub.catalogue.file(9200045).sha256
    assert api(hub, f"/model-versions/by-hash/{mirror}").json()["id"] == 135867
    unrated = hub.catalogue.file(9200040).sha256
    assert api(hub, f"/model-versions/by-hash/{unrated}").status == 200


def test_the_file_that_matched_may_not_be_shown(hub: Standin):
    """A replaced file still finds its version, which no longer lists it."""
    replaced = hub.catalogue.file(9200054).sha256
    files = api(hub, f"/model-versions/by-hash/{replaced}").json()["files"]
    assert [one["id"] for one in files] == [9200055]
    assert len(api(hub, "/model-versions/9100044").json()["files"]) == 2


def batch(hub: Standin, document: Any) -> Reply:
    body = json.dumps(document).encode()
    return api(hub, "/model-versions/by-hash", method="POST", body=body)


def test_batches_answer_per_file_without_order(hub: Standin):
    """Duplicates and nulls come, misses do not, and BLAKE3 is not looked up."""
    detail, hidden = hub.catalogue.file(9200019), hub.catalogue.file(9200056)
    asked = [detail.sha256, hidden.sha256.upper(), "0" * 64, hub.catalogue.file(93203).blake3]
    found = batch(hub, asked).json()
    assert None in found
    assert sorted(one["id"] for one in found if one) == [135867, 9100035]
    assert found == batch(hub, asked[::-1]).json()
    hub.configure(batch_host_undefined=True)
    addresses = [one["downloadUrl"] for one in batch(hub, asked).json() if one]
    assert all(one.startswith("https://undefined/") for one in addresses)


@pytest.mark.parametrize("document", [{"hashes": []}, ["a" * 10], ["a" * 64] * 101, [1]])
def test_wrong_batches_are_refused(hub: Standin, document: Any):
    """An object, a short hash, too many hashes, or numbers get one text."""
    answer = batch(hub, document)
    assert answer.status == 400
    assert api(hub, "/model-versions/by-hash").status == 400
    assert answer.json()["error"].startswith("Request must include an array of SHA256 Hashes. [")


def test_batches_of_ids_name_versions_and_models(hub: Standin):
    """No file id, upper-case hash."""
    sha256 = hub.catalogue.file(JUGGERNAUT[2]).sha256
    body = json.dumps([sha256]).encode()
    answer = api(hub, "/model-versions/by-hash/ids", method="POST", body=body)
    assert answer.json() == [{"modelVersionId": 357609, "modelId": 133005, "hash": sha256.upper()}]


@pytest.mark.parametrize("path", ["/models", "/model-versions/357609", "/me"])
def test_other_methods_are_not_allowed(hub: Standin, path: str):
    """POST and HEAD get 405 on routes that check the method."""
    answer = api(hub, path, method="POST", body=b"{}")
    assert (answer.status, answer.json()) == (405, {"error": "Method not allowed"})
    assert api(hub, path, method="HEAD").status == 405


# --- keys, agents, gates -----------------------------------------------------------------------


def test_a_key_bypasses_the_public_cache_and_a_bad_one_is_no_error(hub: Standin):
    """A bad key is anonymous; the header beats the query."""
    assert api(hub, "/me", headers=KEY).json()["username"] == "standin"
    assert api(hub, "/me?token=standin-key").status == 200
    bad = {"Authorization": "Bearer wrong"}
    assert api(hub, "/me?token=standin-key", headers=bad).status == 401
    assert "public" in api(hub, "/model-versions/357609", headers=bad).headers["cache-control"]
    assert "private" in api(hub, "/model-versions/357609", headers=KEY).headers["cache-control"]


@pytest.mark.parametrize("agent", ["Python-urllib/3.11", "python-requests/2", "python-httpx/0.28"])
def test_library_agents_are_blocked_at_the_edge(hub: Standin, agent: str):
    """The default agents of Python's libraries see a Cloudflare page."""
    answer = api(hub, "/models", headers={"User-Agent": agent})
    assert answer.status == 403
    assert b"Cloudflare" in answer.body


@pytest.mark.parametrize(
    ("version_id", "query", "headers", "status", "error"),
    [
        (357609, "?type=Nonsense", {}, 400, "✖ Invalid option"),
        (999999999, "", {}, 404, "Model not found"),
        (9100027, "", KEY, 404, "Model not found"),
        (9100022, "", KEY, 410, "Model archived, not available for download"),
        (9100028, "", KEY, 404, "Model not found"),
        (9100029, "", KEY, 404, "Model not found"),
        (9100026, "", KEY, 401, "The creator of this asset has disabled downloads on this file"),
        (
            9100033,
            "",
            {},
            401,
            "The creator of this asset requires you to be logged in to download it",
        ),
        (9100024, "", KEY, 403, "This asset is in Early Access. You can use Buzz access it now!"),
        (9100034, "", KEY, 403, "You do not have access to download this file"),
        (9100034, "", {}, 401, "requires you to be logged in"),
        (357609, "?fileId=1310654", {}, 404, "File not found"),
        (9100044, "?fileId=9200054", {}, 404, "File not found"),
        (9100045, "?fileId=9200056", {}, 404, "File not found"),
        (691639, "?type=Diffusion%20Model&fp=int8", {}, 404, "File not found"),
    ],
)
def test_download_gates(
    hub: Standin, version_id: int, query: str, headers: dict[str, str], status: int, error: str
):
    """Each gate with its status and text, never cached."""
    answer = download(hub, version_id, query, headers=headers)
    assert answer.status == status
    assert error in answer.json().get("message", answer.json()["error"])
    assert answer.headers["cache-control"] == "no-store, max-age=0"


def test_early_access_names_its_end_where_there_is_one(hub: Standin):
    """The deadline is absent where it never ends."""
    assert download(hub, 9100024).json()["deadline"] == "2099-12-01T00:00:00.000Z"
    assert "deadline" not in download(hub, 9100025).json()


def test_downloads_can_be_for_members_only_and_counted(hub: Standin):
    """The two switches: login for everything, and the daily quota."""
    hub.configure(anonymous_downloads=False, download_quota=1)
    assert download(hub, 357609).status == 401
    assert download(hub, 357609, headers=KEY).status == 307
    quota = download(hub, 357609, headers=KEY)
    assert quota.status == 429
    assert "unusual amount of downloading" in quota.json()["error"]
    assert "retry-after" not in quota.headers


def test_a_block_list_comes_before_every_other_gate(hub: Standin):
    """Before the quota, and before the parameters are looked at."""
    hub.configure(blocked=True, download_quota=0)
    for path in ("357609", "abc", "9100022"):
        refused = ask(f"{hub.url}/api/download/models/{path}", headers=KEY)
        assert (refused.status, refused.json()) == (403, {"error": "Forbidden"})
    assert api(hub, "/model-versions/357609").status == 200


def test_browsers_get_pages_in_place_of_errors(hub: Standin):
    """A browser's word in the agent turns errors into redirects and plain texts."""
    browser = {"User-Agent": "Mozilla/5.0 (comfylock)"}
    answer = download(hub, 9100033, headers=browser)
    assert answer.status == 307
    login = "/login?returnUrl=%2Fmodel-versions%2F9100033&reason=download-auth"
    assert answer.headers["location"] == login
    page = ask(hub.url + login, headers=browser)
    assert (page.status, page.headers["content-type"][:9]) == (200, "text/html")
    archived = download(hub, 9100022, headers=browser)
    assert archived.body == b"Model archived, not available for download"


def test_a_file_is_chosen_by_id_or_by_selectors(hub: Standin):
    """fileId switches the selectors off; they pick the best score otherwise."""
    by_id = download(hub, 691639, "?fileId=9200006&fp=fp8").headers["location"]
    by_score = download(hub, 691639).headers["location"]
    by_size = download(hub, 691639, "?size=full").headers["location"]
    assert "/flux1-dev." in by_id
    assert "/flux1-dev-fp8." in by_score
    assert "/flux1-dev." in by_size
