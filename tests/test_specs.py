"""SPEC: every way to name one file, what becomes of each, and what is said of the rest."""

import pytest

from tests.shop import LOST, SHOP, lock, locked, project_file, put_workflow, source
from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.server import Fault, Standin
from tests.standin_hf.repositories import Shelves, hub_file, repository
from tests.standin_hf.server import HuggingFaceStandin

VAE_KEY = "vae/wanted.safetensors"
#: A version of two precisions under one name, one with a VAE of its own, one with a linked VAE.
FILES = Catalogue.of(
    [
        *SHOP.models,
        model(
            60,
            "Twins",
            "LORA",
            versions=[
                version(
                    601,
                    "v1",
                    files=[
                        file(6011, "t.safetensors", fp="fp16", variant="pruned"),
                        file(6012, "t.safetensors", fp="fp8", variant="pruned"),
                        file(6013, "t.ckpt", fp="fp16", variant="full"),
                    ],
                )
            ],
        ),
        model(
            61,
            "With VAE",
            "Checkpoint",
            versions=[
                version(611, "own", files=[file(6111, "m.safetensors"),
                                           file(6112, "own_vae.safetensors", type="VAE")]),
                version(612, "linked", files=[file(6121, "m.safetensors")], vae_id=621),
            ],
        ),
        model(62, "The VAE", "VAE",
              versions=[version(621, "v1", files=[file(6211, "linked_vae.safetensors")])]),
    ]
)  # fmt: skip


@pytest.fixture
def hub():
    with Standin(FILES) as standin:
        yield standin


def pinned(world, key=LOST):
    return project_file(world).replace(f'[models."{key}"]\npin = ', "").strip().strip('"')


@pytest.mark.parametrize(
    "spec",
    [
        "urn:air:sdxl:lora:civitai:1@12+121",
        "urn:air:sdxl:lora:civitai:1@12.safetensors",
        "urn:air:sdxl:lora:civitai:1@12+121.safetensors",
        "air:whatever:unknown:civitai:1@12",
        "sdxl:lora:civitai:1@12",
        "https://civitai.red/models/1/ink-wash?modelVersionId=12",
        "https://civitai.green/models/1?modelVersionId=12&utm=x#comments",
        "https://www.civitai.com/models/1?modelVersionId=12",
        "civitai.com/models/1?modelVersionId=12",
        "https://civitai.com/model-versions/12",
        "https://civitai.com/api/v1/model-versions/12",
        "https://civitai.com/api/download/models/12",
        "https://civitai.com/api/download/models/12?type=Model&format=SafeTensor",
        "https://civitai.com/api/download/models/12?token=canary-51d0",
    ],
)
def test_addresses_of_all_civitai_hosts_and_forms_become_ids(world, spec):
    lock(world, LOST)
    ran = world.here("pin", LOST, spec)
    assert ran.code == 0, ran.text
    assert pinned(world) == "civitai:12/121"
    assert source(world, LOST) == (12, 121)
    assert "canary" not in ran.text + project_file(world)


@pytest.mark.parametrize(
    ("query", "file_id"),
    [
        ("type=Model&format=SafeTensor&size=pruned&fp=fp16", 6011),
        ("type=Model&format=SafeTensor&size=pruned&fp=fp8", 6012),
        ("fp=FP8", 6012),
        ("fileId=6012&fp=fp16", 6012),
    ],
)
def test_what_a_download_address_says_of_a_file_tells_twins_apart(world, query, file_id):
    lock(world, LOST)
    spec = f"https://civitai.com/api/download/models/601?{query}"
    assert world.here("pin", LOST, spec).code == 0
    assert source(world, LOST) == (601, file_id)


def test_a_download_address_that_fits_two_files_lists_them(world):
    lock(world, LOST)
    ran = world.here(
        "pin", LOST, "https://civitai.com/api/download/models/601?size=pruned", "--json"
    )
    assert ran.code == 1
    [one] = ran.document["ambiguous"]
    assert [each["file"] for each in one["candidates"]] == [6011, 6012]


@pytest.mark.parametrize(("version_id", "expected"), [(611, (611, 6112)), (612, (621, 6211))])
def test_a_vae_is_pinned_in_the_version_that_it_belongs_to(world, version_id, expected):
    """Under the version that only shows it, its id would fetch nothing."""
    lock(world, LOST)
    nodes = '{"1": {"class_type": "VAELoader", "inputs": {"vae_name": "wanted.safetensors"}}}'
    (world.project / "workflows" / "vae.json").write_text(nodes)
    world.here("lock")
    spec = f"https://civitai.com/api/download/models/{version_id}?type=VAE"
    ran = world.here("pin", VAE_KEY, spec)
    assert ran.code == 0, ran.text
    assert source(world, VAE_KEY) == expected
    assert world.here("install", "--only", VAE_KEY).code == 0


def test_embedded_addresses_tell_twins_apart_too(world):
    node = {
        "id": 1, "type": "LoraLoaderModelOnly", "mode": 0, "inputs": [],
        "widgets_values": ["t.safetensors", 1.0],
        "properties": {"models": [{
            "name": "t.safetensors", "directory": "loras",
            "url": "https://civitai.com/api/download/models/601?type=Model&fp=fp8"}]},
    }  # fmt: skip
    import json

    put_workflow(world, LOST)
    document = {"version": 0.4, "nodes": [node], "links": []}
    (world.project / "workflows" / "ui.json").write_text(json.dumps(document))
    world.here("lock", "workflows")
    assert source(world, "loras/t.safetensors") == (601, 6012)
    assert locked(world)["loras/t.safetensors"]["evidence"] == "embedded"


@pytest.mark.parametrize(
    "spec", ["urn:air:sdxl:lora:civitai:2@12", "https://civitai.com/models/2?modelVersionId=12"]
)
def test_a_version_of_another_model_than_named_is_a_contradiction(world, spec):
    lock(world, LOST)
    before = world.lock_path.read_bytes()
    ran = world.here("pin", LOST, spec)
    assert ran.code == 1
    assert "names Civitai model 2, and version 12 belongs to model 1 (Ink Wash)" in ran.err
    assert "say `civitai:12`" in ran.err
    assert (project_file(world), world.lock_path.read_bytes()) == ("", before)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("12", "written civitai:12"),
        ("12/121", "written civitai:12/121"),
        ("civitai:0", "Understood are"),
        ("civitai:99999999999", "Understood are"),
        ("civitai:12/121/1", "Understood are"),
        ("civitai:ink", "Understood are"),
        ("urn:air:sdxl:lora:huggingface:a/b@main", "Understood are"),
        ("https://civitai.com/user/someone?token=canary-51d0", "Understood are"),
        ("https://huggingface.co/datasets/a/b/blob/main/x.safetensors", "Understood are"),
        ("ftp://example.org/x.safetensors", "Understood are"),
        ("file:///tmp/x.safetensors", "Understood are"),
        ("sha256:" + "a" * 64, "Understood are"),
        ("", "Understood are"),
        ("x" * 5000, "Understood are"),
    ],
)
def test_nonsense_leads_to_no_file_and_is_told_what_is_understood(world, spec, hint):
    lock(world, LOST)
    before = world.lock_path.read_bytes()
    world.hub.clear_requests()
    ran = world.here("pin", LOST, spec)
    assert ran.code == 1
    assert "error[unresolved]" in ran.err
    assert "names no file" in ran.err
    assert hint in ran.err
    assert "canary" not in ran.text
    assert len(ran.err) < 1000
    assert world.hub.requests == ()
    assert (project_file(world), world.lock_path.read_bytes()) == ("", before)


def test_a_hub_that_fails_leaves_all_as_it_is_and_says_what_to_do_again(world):
    lock(world, LOST)
    before = world.lock_path.read_bytes()
    world.hub.fault(Fault(kind="status", status=400, match="/model-versions/12", times=None))
    ran = world.here("pin", LOST, "civitai:12")
    assert ran.code == 2
    assert "then pin it again" in ran.err
    assert (project_file(world), world.lock_path.read_bytes()) == ("", before)


# ------------------------------------------------------------------- pages of repositories

ONE, TWO, OTHER = (hub_file(name, size=4_000) for name in ("lost.safetensors", "two", "other"))


@pytest.fixture
def huggingface(world):
    shelves = Shelves.of(
        repository("Org/many", {"a/lost.safetensors": ONE, "a/two.safetensors": TWO,
                                "b/other.safetensors": OTHER, "README.md": hub_file("r")}),
        repository("Org/closed", {"x.safetensors": ONE}, private=True),
    )  # fmt: skip
    with HuggingFaceStandin(shelves) as standin:
        world.environment["HF_ENDPOINT"] = standin.url
        yield standin


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("https://huggingface.co/Org/many", "a/lost.safetensors"),
        ("https://huggingface.co/Org/many/tree/main", "a/lost.safetensors"),
        ("https://huggingface.co/Org/many/tree/main/a", "a/lost.safetensors"),
        ("https://huggingface.co/Org/many/tree/main/b/", "b/other.safetensors"),
        ("huggingface.co/Org/many/tree/main/b", "b/other.safetensors"),
        ("hf:Org/many", "a/lost.safetensors"),
        ("hf:Org/many@main:", "a/lost.safetensors"),
    ],
)
def test_a_page_of_a_repository_pins_the_file_of_that_name_or_its_only_one(
    world, huggingface, spec, path
):
    lock(world, LOST)
    ran = world.here("pin", LOST, spec)
    assert ran.code == 0, ran.text
    assert pinned(world) == f"hf:Org/many@{huggingface['Org/many'].head}:{path}"


def test_a_page_of_several_files_lists_what_pin_takes(world, huggingface):
    put_workflow(world, "loras/nothing.safetensors")
    world.here("lock", "workflows")
    ran = world.here("pin", "nothing", "https://huggingface.co/Org/many/tree/main/a", "--json")
    assert ran.code == 1
    [one] = ran.document["ambiguous"]
    assert [each["file_name"] for each in one["candidates"]] == [
        "lost.safetensors", "two.safetensors",
    ]  # fmt: skip
    assert all(each["spec"].startswith("hf:Org/many@") for each in one["candidates"])
    assert project_file(world) == ""


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("https://huggingface.co/Org/closed", "not to be seen without a key"),
        ("https://huggingface.co/Org/none", "not to be seen without a key"),
        ("https://huggingface.co/Org/many/tree/gone", "is not there"),
        ("https://huggingface.co/Org/many/tree/main/c", "has no file that"),
    ],
)
def test_a_page_that_shows_no_file_is_told_with_the_next_step(world, huggingface, spec, says):
    lock(world, LOST)
    ran = world.here("pin", LOST, spec)
    assert ran.code == 1
    assert "error[unresolved]" in ran.err
    assert says in ran.err
    assert "hint:" in ran.err
    assert project_file(world) == ""
