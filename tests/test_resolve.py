"""The ladder of evidence, rung by rung, and against a hub full of decoys."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from comfylock.addresses import HuggingFaceAddress
from comfylock.artifacts import (
    Artifact,
    CivitaiSource,
    FileId,
    HostedFile,
    HuggingFaceSource,
    ModelId,
    ModelVersion,
    UrlSource,
    VersionId,
)
from comfylock.candidates import hash_changed, same_name
from comfylock.civitai.cache import ResponseCache
from comfylock.civitai.client import CivitaiClient
from comfylock.config import ModelWish
from comfylock.errors import AuthRequiredError, ServerError
from comfylock.events import Silence
from comfylock.hashes import Digests
from comfylock.known import KnownFiles
from comfylock.lockfile.model import Evidence, Pin
from comfylock.references import Hint, HintKind, ReferenceKind, Requirement
from comfylock.resolve import (
    Ambiguous,
    Catalog,
    Catalogs,
    LocalMatch,
    Repositories,
    Resolution,
    Resolved,
    Unresolved,
    resolve,
)
from comfylock.web.transport import Transport
from comfylock.web.waiting import Waiting
from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.server import Fault, Standin

A, B, C = "a" * 64, "b" * 64, "c" * 64
RUNGS = ("hash", "embedded", "known", "filename")
NAME = "ink.safetensors"


def artifact(file_id: int = 111, sha256: str | None = A, **changes: object) -> Artifact:
    made = Artifact(
        source=CivitaiSource(
            model=ModelId(1), version=VersionId(file_id // 10), file=FileId(file_id)
        ),
        file_name=NAME,
        model_name="Ink",
        version_name="v1",
        model_type="LORA",
        file_type="Model",
        base_model="SDXL 1.0",
        digests=Digests(sha256=sha256),
        size_hint=2048,
        published=f"2026-01-01T00:00:00.{file_id}Z",
        downloads=1,
        unsafe=False,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


class Shelf:
    """A catalogue of a few artifacts; remembers what it was asked."""

    def __init__(self, *artifacts: Artifact, down: bool = False) -> None:
        self.artifacts = artifacts
        self.down = down
        self.asked: list[str] = []

    def _ask(self, question: str) -> None:
        self.asked.append(question)
        if self.down:
            raise ServerError("civitai.com is in trouble (503)")

    def _versions(self, artifacts: Sequence[Artifact]) -> tuple[ModelVersion, ...]:
        return tuple(
            ModelVersion(
                model=ModelId(1), version=number, name="v", model_name="Ink", base_model="",
                files=tuple(one for one in self.artifacts if one.source.version == number),
            )
            for number in dict.fromkeys(one.source.version for one in artifacts)
        )  # fmt: skip

    def by_hashes(self, sha256: Sequence[str]) -> Mapping[str, tuple[ModelVersion, ...]]:
        self._ask("hash")
        found = {
            one: self._versions([its for its in self.artifacts if its.digests.sha256 == one])
            for one in sha256
        }
        return {digest: versions for digest, versions in found.items() if versions}

    def by_version(self, version: VersionId) -> ModelVersion | None:
        self._ask("version")
        found = self._versions([one for one in self.artifacts if one.source.version == version])
        return found[0] if found else None

    def search_name(self, file_name: str, folder: str) -> tuple[Artifact, ...]:
        self._ask("name")
        return tuple(one for one in self.artifacts if same_name(file_name, one.file_name))

    def search_alike(self, file_name: str, folder: str) -> tuple[Artifact, ...]:
        self._ask("alike")
        return self.artifacts


class Repos:
    """Repositories of a few files, by what the ladder asks for."""

    def __init__(self, *files: HostedFile, refuses: str = "") -> None:
        self.files = files
        self.refuses = refuses
        self.asked: list[HuggingFaceAddress] = []

    def file_at(self, address: HuggingFaceAddress) -> HostedFile | None:
        self.asked.append(address)
        if address.repo == self.refuses:
            raise AuthRequiredError(f"{address.repo} is gated")
        for held in self.files:
            source = held.source
            assert isinstance(source, HuggingFaceSource)
            if (source.repo, source.file) == (address.repo, address.file):
                return held
        return None


def hosted(
    repo: str = "a/b", sha256: str = A, file: str = f"sub/{NAME}", **changes: object
) -> HostedFile:
    made = HostedFile(
        source=HuggingFaceSource(repo=repo, revision="f" * 40, file=file),
        file_name=file.rpartition("/")[2],
        digests=Digests(sha256=sha256),
        size_hint=4097,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def requirement(name: str = NAME, folder: str = "loras", *hints: Hint) -> Requirement:
    return Requirement(
        key=f"{folder}/{name}", folder=folder, name=name, kind=ReferenceKind.FILE, aliases=(),
        workflows=("w.json",), hints=hints, active=True,
    )  # fmt: skip


def local(sha256: str | None = A, **changes: object) -> LocalMatch:
    made = LocalMatch(
        path=f"models/loras/{NAME}",
        size=4096,
        digests=Digests(sha256=sha256, blake3=C),
        format="safetensors",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def pin(**changes: object) -> Pin:
    made = Pin(
        key=f"loras/{NAME}", size=2048, digests=Digests(sha256=A), evidence=Evidence.FILENAME,
        sources=(artifact().source,),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def ladder(
    catalog: Catalog | None,
    *hints: Hint,
    old: Pin | None = None,
    wish: ModelWish | None = None,
    here: LocalMatch | None = None,
    rungs: tuple[str, ...] = RUNGS,
    name: str = NAME,
    folder: str = "loras",
    repos: Repositories | None = None,
    known: KnownFiles | None = None,
    hosts: frozenset[str] = frozenset(),
) -> Resolution:
    wanted = requirement(name, folder, *hints)
    asked = None
    if catalog is not None:
        asked = Catalogs(
            civitai=catalog,
            huggingface=repos or Repos(),
            known=known or KnownFiles(),
            allowed_hosts=hosts,
        )
    return resolve(wanted, old=old, wish=wish, local=here, catalog=asked, rungs=rungs)


def pinned(resolution: Resolution) -> Pin:
    assert isinstance(resolution, Resolved), resolution
    return resolution.pin


def unresolved(resolution: Resolution) -> Unresolved:
    assert isinstance(resolution, Unresolved), resolution
    return resolution


def ambiguous(resolution: Resolution) -> Ambiguous:
    assert isinstance(resolution, Ambiguous), resolution
    return resolution


def hint(kind: HintKind, value: str) -> Hint:
    return Hint(kind=kind, value=value)


# The lock's own entry


def test_entry_of_the_lock_stays_without_a_question():
    shelf = Shelf(artifact(sha256=B))
    assert pinned(ladder(shelf, old=pin(), here=local(B))) == pin()
    assert shelf.asked == []


def test_aliases_of_a_kept_entry_are_those_of_today():
    wanted = replace(requirement(), aliases=("a\\ink.safetensors",))
    kept = resolve(
        wanted, old=pin(aliases=("old\\x",)), wish=None, local=None, catalog=None, rungs=RUNGS
    )
    assert pinned(kept).aliases == ("a\\ink.safetensors",)


def test_entry_that_rested_on_a_withdrawn_word_is_resolved_anew():
    old = pin(evidence=Evidence.PINNED)
    assert pinned(ladder(Shelf(artifact()), old=old)).evidence is Evidence.FILENAME


# The user's word


def test_users_word_wins_over_all_and_needs_no_equal_name():
    shelf = Shelf(artifact(), artifact(222, B, file_name="other.safetensors"))
    found = pinned(ladder(shelf, wish=ModelWish(pin="civitai:22"), here=local()))
    assert (found.evidence, found.digests.sha256) == (Evidence.PINNED, B)
    assert found.sources == (artifact(222).source,)


def test_word_that_the_lock_already_follows_needs_no_question():
    shelf = Shelf()
    old = pin(evidence=Evidence.PINNED)
    for spec in ("civitai:11", "civitai:11/111"):
        assert pinned(ladder(shelf, old=old, wish=ModelWish(pin=spec))) == old
    assert shelf.asked == []


@pytest.mark.parametrize(
    "spec",
    [
        "civitai:99",
        "civitai:11/999",
        "hf:a/b@main:c",
        "nonsense",
        "civitai:0x1",
        "",
        "https://huggingface.co/a/b",
        "https://example.org/ink.safetensors",
        "models/loras/ink.safetensors",
    ],
)
def test_word_that_names_nothing_is_told_and_nothing_else_is_tried(spec: str):
    answer = unresolved(ladder(Shelf(artifact()), wish=ModelWish(pin=spec), here=local()))
    assert answer.reason.slug == "unresolved"
    assert answer.reason.hint
    assert "pin" in answer.reason.message or "has no file" in answer.reason.message


@pytest.mark.parametrize("revision", ["main", "f" * 40])
def test_users_word_may_name_a_repository(revision: str):
    wish = ModelWish(pin=f"hf:a/b@{revision}:x.safetensors")
    repos = Repos(hosted(file="x.safetensors"))
    found = pinned(ladder(Shelf(), wish=wish, repos=repos))
    assert (found.evidence, found.sources) == (Evidence.PINNED, (repos.files[0].source,))
    again = Repos()
    assert pinned(ladder(Shelf(), wish=wish, repos=again, old=found)) == found
    assert again.asked == []
    other = ModelWish(pin=f"hf:a/b@{'e' * 40}:x.safetensors")
    assert isinstance(ladder(Shelf(), wish=other, repos=again, old=found), Unresolved)


def test_users_word_may_be_a_page_of_a_repository_and_state_a_hash():
    page = f"https://huggingface.co/a/b/blob/main/sub/{NAME}"
    repos = Repos(hosted())
    agreed = ladder(Shelf(), wish=ModelWish(pin=page, sha256=A), repos=repos)
    assert pinned(agreed).sources == (hosted().source,)
    answer = unresolved(ladder(Shelf(), wish=ModelWish(pin=page, sha256=B), repos=repos))
    assert A in answer.reason.message
    assert B in answer.reason.message


def test_users_word_may_be_a_plain_address_with_its_hash():
    wish = ModelWish(pin=PLAIN, sha256=A)
    found = pinned(ladder(Shelf(), wish=wish))
    assert found.sources == (UrlSource(url=PLAIN),)
    assert pinned(ladder(Shelf(), wish=wish, old=found)) == found
    changed = ModelWish(pin=PLAIN, sha256=B)
    assert pinned(ladder(Shelf(), wish=changed, old=found)).digests.sha256 == B
    unsaid = ModelWish(pin=PLAIN)
    assert "sha256" in str(unresolved(ladder(Shelf(), wish=unsaid)).reason.hint)


def test_version_with_two_fitting_files_needs_the_file_named():
    shelf = Shelf(
        artifact(111, A, file_name="x.safetensors"), artifact(112, B, file_name="y.safetensors")
    )
    assert len(ambiguous(ladder(shelf, wish=ModelWish(pin="civitai:11"))).candidates) == 2
    found = pinned(ladder(shelf, wish=ModelWish(pin="civitai:11/112")))
    assert found.digests.sha256 == B


def test_private_file_is_pinned_by_hash_and_never_searched_for():
    shelf = Shelf(artifact())
    found = pinned(ladder(shelf, wish=ModelWish(local=True), here=local()))
    assert (found.evidence, found.sources, found.size) == (Evidence.LOCAL, (), 4096)
    assert shelf.asked == []
    assert unresolved(ladder(shelf, wish=ModelWish(local=True))).reason.slug == "unresolved"


# Hash of a local file


def test_local_file_is_identified_by_hash_not_by_name():
    shelf = Shelf(artifact(111, B), artifact(222, A, file_name="renamed.safetensors"))
    found = pinned(ladder(shelf, here=local(A)))
    assert found.evidence is Evidence.HASH
    assert found.sources == (artifact(222).source,)
    assert (found.size, found.digests) == (4096, Digests(sha256=A, blake3=C))


def test_one_content_in_several_places_is_one_answer_the_oldest():
    shelf = Shelf(artifact(333), artifact(222), artifact(444))
    assert pinned(ladder(shelf, here=local(A))).sources == (artifact(222).source,)


def test_place_that_is_locked_already_stays_when_the_word_is_taken_back():
    old = pin(evidence=Evidence.PINNED, sources=(artifact(333).source,))
    shelf = Shelf(artifact(333), artifact(222))
    assert pinned(ladder(shelf, old=old, here=local(A))).sources == (artifact(333).source,)


def test_file_on_no_hub_is_pinned_by_its_hash_alone():
    found = ladder(Shelf(), here=local(B, format="pickle"))
    assert pinned(found).evidence is Evidence.LOCAL
    assert pinned(found).format == "pickle"
    assert [one.rung for one in found.misses] == ["hash", "embedded", "known", "filename"]


# What the workflow embeds


def test_embedded_hash_pins_whatever_the_name_on_the_hub_is():
    shelf = Shelf(artifact(111, B), artifact(222, A, file_name="other.safetensors"))
    found = pinned(ladder(shelf, hint(HintKind.SHA256, A.upper())))
    assert (found.evidence, found.digests.sha256) == (Evidence.EMBEDDED, A)


@pytest.mark.parametrize(
    "told",
    [
        hint(HintKind.AIR, "urn:air:sdxl:lora:civitai:1@11"),
        hint(HintKind.AIR, "civitai:1@11+111"),
        hint(HintKind.URL, "https://civitai.com/models/1/slug?modelVersionId=11"),
        hint(HintKind.URL, "https://civitai.red/api/download/models/11?fileId=111&type=Model"),
    ],
)
def test_embedded_id_pins_the_file_of_the_wanted_name(told: Hint):
    shelf = Shelf(artifact(111, A), artifact(112, B, file_name="vae.safetensors"))
    found = pinned(ladder(shelf, told))
    assert (found.evidence, found.digests.sha256) == (Evidence.EMBEDDED, A)


def test_version_declared_beside_the_name_means_its_only_model_whatever_it_is_called_now():
    """The site's names change with the page's title, and differ between its endpoints."""
    told = hint(HintKind.URL, "https://civitai.com/api/download/models/11")
    renamed = artifact(file_name="else.safetensors")
    assert pinned(ladder(Shelf(renamed), told)).evidence is Evidence.EMBEDDED
    two = Shelf(renamed, artifact(112, B, file_name="more.safetensors"))
    assert not isinstance(ladder(two, told), Resolved)


def test_stale_id_is_not_trusted_with_another_name():
    """Nodes keep the address of a file that was chosen before."""
    told = hint(HintKind.AIR, "civitai:1@11")
    answer = ladder(Shelf(artifact(file_name="else.safetensors")), told)
    assert unresolved(answer).reason.slug == "unresolved"
    assert "no file of this name" in next(
        one.reason for one in answer.misses if one.rung == "embedded"
    )


def test_two_precisions_under_one_name_are_ambiguous():
    shelf = Shelf(artifact(111, A), artifact(112, B))
    assert len(ambiguous(ladder(shelf, hint(HintKind.AIR, "civitai:1@11"))).candidates) == 2
    assert pinned(ladder(shelf, hint(HintKind.AIR, "civitai:1@11+112"))).digests.sha256 == B


def test_page_without_a_version_is_no_evidence():
    answer = ladder(Shelf(), hint(HintKind.URL, "https://civitai.com/models/1"))
    assert "no version" in answer.misses[1].reason


URL = f"https://huggingface.co/a/b/resolve/main/sub/{NAME}"


@pytest.mark.parametrize(
    "url",
    [
        URL,
        URL + "?download=true",
        URL.replace("resolve/main", f"blob/{'f' * 40}"),
        URL.replace("huggingface.co", "hf-mirror.com"),
    ],
)
def test_address_of_a_repository_is_pinned_to_its_commit_with_size_and_hash(url: str):
    found = pinned(ladder(Shelf(), hint(HintKind.URL, url), repos=Repos(hosted())))
    assert found.sources == (hosted().source,)
    assert (found.evidence, found.size) == (Evidence.EMBEDDED, 4097)
    assert found.digests == Digests(sha256=A)
    assert found.name is None


def test_declared_name_and_address_need_not_have_one_base_name():
    """ComfyUI saves what the address has under the name that stands beside it."""
    url = "https://huggingface.co/a/b/resolve/main/diffusion_pytorch_model.safetensors"
    repos = Repos(hosted(file="diffusion_pytorch_model.safetensors"))
    assert pinned(ladder(Shelf(), hint(HintKind.URL, url), repos=repos)).key == f"loras/{NAME}"


def test_one_content_at_several_addresses_has_several_sources_in_one_order():
    urls = [hint(HintKind.URL, URL.replace("a/b", repo)) for repo in ("z/z", "a/b", "m/m")]
    repos = Repos(*(hosted(repo) for repo in ("m/m", "z/z", "a/b")))
    for told in (urls, urls[::-1]):
        found = pinned(ladder(Shelf(), *told, repos=repos))
        assert found.sources == tuple(hosted(repo).source for repo in ("a/b", "m/m", "z/z"))


def test_different_contents_at_several_addresses_are_ambiguous():
    urls = [hint(HintKind.URL, URL.replace("a/b", repo)) for repo in ("z/z", "a/b")]
    answer = ambiguous(ladder(Shelf(), *urls, repos=Repos(hosted("a/b"), hosted("z/z", B))))
    assert [one.spec for one in answer.candidates] == [
        f"hf:{repo}@{'f' * 40}:sub/{NAME}" for repo in ("a/b", "z/z")
    ]


def test_content_on_both_hubs_has_both_sources_and_the_exact_size():
    shelf = Shelf(artifact())
    told = (hint(HintKind.URL, URL), hint(HintKind.SHA256, A))
    found = pinned(ladder(shelf, *told, repos=Repos(hosted())))
    assert found.sources == (artifact().source, hosted().source)
    assert (found.size, found.name) == (4097, "Ink / v1")


def test_declared_hash_decides_over_what_the_address_has_now():
    told = (hint(HintKind.URL, URL), hint(HintKind.SHA256, A))
    answer = unresolved(ladder(Shelf(), *told, repos=Repos(hosted(sha256=B))))
    assert answer.reason.slug == "unresolved"
    assert f"sha256:{A}" in answer.reason.message
    assert f"sha256:{B}" in answer.reason.message
    assert f"hf:a/b@{'f' * 40}" in (answer.reason.hint or "")
    kept_by_civitai = pinned(ladder(Shelf(artifact()), *told, repos=Repos(hosted(sha256=B))))
    assert kept_by_civitai.sources == (artifact().source,)


def test_workflows_that_state_different_hashes_are_ambiguous():
    told = (hint(HintKind.URL, URL), hint(HintKind.SHA256, A), hint(HintKind.SHA256, B))
    assert "several hashes" in ambiguous(ladder(Shelf(), *told, repos=Repos(hosted()))).reason


def test_refused_copy_matters_unless_a_stated_hash_decides():
    """What may not be seen could be another file."""
    urls = [hint(HintKind.URL, URL.replace("a/b", repo)) for repo in ("a/b", "g/g")]
    repos = Repos(hosted("a/b"), refuses="g/g")
    assert unresolved(ladder(Shelf(), *urls, repos=repos)).reason.slug == "auth-required"
    found = pinned(ladder(Shelf(), *urls, hint(HintKind.SHA256, A), repos=repos))
    assert found.sources == (hosted().source,)


def test_dead_address_leaves_the_word_to_the_lower_rungs():
    answer = ladder(Shelf(artifact()), hint(HintKind.URL, URL))
    assert pinned(answer).evidence is Evidence.FILENAME
    assert "not there" in next(one.reason for one in answer.misses if one.rung == "embedded")


def test_file_with_a_virus_is_refused():
    answer = ladder(Shelf(), hint(HintKind.URL, URL), repos=Repos(hosted(unsafe=True)))
    assert unresolved(answer).reason.slug == "unsafe-format"


# Plain addresses

PLAIN = f"https://example.org/models/{NAME}"


def test_plain_address_needs_a_hash_and_a_host_that_the_user_allows():
    told, stated = hint(HintKind.URL, PLAIN), hint(HintKind.SHA256, A)
    hosts = frozenset({"example.org"})
    found = pinned(ladder(Shelf(), told, stated, hosts=hosts))
    assert found.sources == (UrlSource(url=PLAIN),)
    assert (found.size, found.digests.sha256) == (None, A)
    without_hash = unresolved(ladder(Shelf(), told, hosts=hosts))
    assert "sha256" in (without_hash.reason.hint or "")
    not_allowed = unresolved(ladder(Shelf(), told, stated))
    assert "example.org" in not_allowed.reason.message
    assert "allow-hosts" in (not_allowed.reason.hint or "")


def test_plain_address_with_a_key_in_it_never_gets_into_a_lock():
    told = hint(HintKind.URL, f"{PLAIN}?token=canary")
    answer = ladder(Shelf(), told, hint(HintKind.SHA256, A), hosts=frozenset({"example.org"}))
    assert "canary" not in str(unresolved(answer))


# Well-known files


def known(row: str | list[str], folder: str = "loras") -> KnownFiles:
    return KnownFiles(date="2026-09", rows={folder: {NAME: row}})


def test_well_known_name_is_pinned_by_what_the_hub_says():
    answer = ladder(Shelf(), known=known(f"hf:a/b:sub/{NAME}"), repos=Repos(hosted()))
    assert pinned(answer).evidence is Evidence.KNOWN
    assert pinned(answer).digests.sha256 == A
    assert isinstance(answer, Resolved)
    assert "2026-09" in (answer.note or "")
    shelf = Shelf(artifact(file_name="up.safetensors"))
    assert pinned(ladder(shelf, known=known("civitai:11"))).sources == (artifact().source,)


def test_well_known_name_comes_before_the_search_and_never_over_a_hash():
    shelf, table = Shelf(artifact(sha256=C)), known([f"hf:a/b:sub/{NAME}", f"sha256:{A}"])
    repos = Repos(hosted())
    assert pinned(ladder(shelf, known=table, repos=repos)).evidence is Evidence.KNOWN
    told = hint(HintKind.SHA256, B)
    assert "another hash" in ambiguous(ladder(Shelf(), told, known=table, repos=repos)).reason
    mine = ambiguous(ladder(Shelf(), here=local(B), known=table, repos=repos))
    assert "other bytes" in mine.reason


def test_hash_of_the_table_is_held_against_what_the_hub_has_now():
    table = known([f"hf:a/b:sub/{NAME}", f"sha256:{A}"])
    answer = unresolved(ladder(Shelf(), known=table, repos=Repos(hosted(sha256=B))))
    assert "2026-09" in next(one.reason for one in answer.misses if one.rung == "known")


def test_well_known_hub_out_of_reach_leaves_one_exact_name_on_civitai():
    """Nothing but that name counts: a local file alone would hide that nobody was asked."""
    table, silent = known(f"hf:a/b:sub/{NAME}"), Repos(refuses="a/b")
    answer = pinned(ladder(Shelf(artifact()), known=table, repos=silent))
    assert answer.evidence is Evidence.FILENAME
    left = unresolved(ladder(Shelf(), here=local(), known=table, repos=silent))
    assert left.is_fault
    assert left.reason.slug == "auth-required"


def test_well_known_copies_of_other_content_are_ambiguous():
    table = known([f"hf:a/b:sub/{NAME}", f"hf:m/m:sub/{NAME}"])
    repos = Repos(hosted("a/b"), hosted("m/m", B))
    assert len(ambiguous(ladder(Shelf(), known=table, repos=repos)).candidates) == 2
    open_copy = pinned(ladder(Shelf(), known=table, repos=Repos(hosted("a/b"), refuses="m/m")))
    assert open_copy.sources == (hosted().source,)


def test_well_known_place_without_a_hash_is_told_as_the_next_step():
    table = known("https://example.org/ink.safetensors")
    answer = unresolved(ladder(Shelf(), known=table))
    assert "https://example.org/ink.safetensors" in (answer.reason.hint or "")


def test_table_speaks_of_its_own_folder_only():
    table = known(f"hf:a/b:sub/{NAME}", folder="vae")
    assert isinstance(ladder(Shelf(), known=table, repos=Repos(hosted())), Unresolved)


# One exact file name


def test_exact_name_pins_and_the_size_is_only_the_uploaders_word():
    found = pinned(
        ladder(Shelf(artifact(file_name=NAME.upper().replace("SAFETENSORS", "safetensors"))))
    )
    assert (found.evidence, found.size, found.base_model) == (Evidence.FILENAME, 2048, "SDXL 1.0")
    assert found.name == "Ink / v1"


def test_two_contents_of_one_name_are_ambiguous_oldest_first():
    answer = ambiguous(ladder(Shelf(artifact(333, B), artifact(222, A))))
    assert [one.spec for one in answer.candidates] == ["civitai:22/222", "civitai:33/333"]


def test_file_without_a_full_hash_is_a_content_of_its_own():
    assert len(ambiguous(ladder(Shelf(artifact(111, A), artifact(222, None)))).candidates) == 2
    alone = unresolved(ladder(Shelf(artifact(111, None))))
    assert "no full hash" in alone.reason.message
    assert len(alone.candidates) == 1


@pytest.mark.parametrize("told", [hint(HintKind.SHA256, B), hint(HintKind.AUTOV2, B[:10])])
def test_name_never_overrules_the_workflows_hash(told: Hint):
    assert "hash" in ambiguous(ladder(Shelf(artifact(111, A)), told)).reason


def test_name_never_overrules_the_users_own_file():
    """A private file that happens to share its name with a stranger's."""
    answer = ambiguous(ladder(Shelf(artifact(111, A)), here=local(B)))
    assert "other bytes" in answer.reason


@pytest.mark.parametrize("stated", [A[:10], "", "z" * 64, A + "a"])
def test_stated_hash_that_is_none_pins_nothing_and_is_not_asked_for(stated: str):
    shelf = Shelf(artifact())
    assert pinned(ladder(shelf, hint(HintKind.SHA256, stated))).evidence is Evidence.FILENAME
    assert "hash" not in shelf.asked


def test_short_hash_that_agrees_does_no_harm():
    assert (
        pinned(ladder(Shelf(artifact(111, A)), hint(HintKind.AUTOV2, A[:10]))).digests.sha256 == A
    )


def test_like_names_are_proposals_only():
    answer = unresolved(ladder(Shelf(artifact(file_name="ink2.safetensors"))))
    assert [one.file_name for one in answer.candidates] == ["ink2.safetensors"]
    assert answer.reason.hint is not None
    assert "comfylock search" in answer.reason.hint


def test_evidence_that_is_not_permitted_does_not_pin():
    shelf = Shelf(artifact())
    assert unresolved(ladder(shelf, rungs=("hash",))).candidates == ()
    assert shelf.asked == []


# What may not be pinned


def test_file_that_the_scan_calls_dangerous_is_refused_by_any_evidence():
    shelf = Shelf(artifact(unsafe=True))
    for answer in (
        ladder(shelf),
        ladder(shelf, here=local(A)),
        ladder(shelf, wish=ModelWish(pin="civitai:11/111")),
        ladder(shelf, hint(HintKind.SHA256, A)),
    ):
        assert unresolved(answer).reason.slug == "unsafe-format"


def test_pickle_is_not_pinned_under_a_safe_name():
    shelf = Shelf(artifact(file_name="ink.ckpt"))
    answer = ladder(shelf, wish=ModelWish(pin="civitai:11"))
    assert unresolved(answer).reason.slug == "unsafe-format"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("x.ckpt", "pickle"), ("x.pt", "pickle"), ("x.gguf", "gguf"), ("x.onnx", "onnx"),
     ("x.sft", "safetensors"), ("x.patch", "other")],
)  # fmt: skip
def test_format_follows_the_name(name: str, expected: str):
    assert pinned(ladder(Shelf(artifact(file_name=name)), name=name)).format == expected


def test_name_without_extension_gets_that_of_the_file():
    shelf = Shelf(artifact(file_name="EasyNegative.pt"))
    found = ladder(shelf, name="easynegative", folder="embeddings")
    assert isinstance(found, Resolved)
    assert found.key == found.pin.key == "embeddings/easynegative.pt"
    assert found.pin.format == "pickle"


def test_same_file_with_another_hash_is_an_error():
    new = pin(digests=Digests(sha256=B))
    problem = hash_changed(pin(), new)
    assert problem is not None
    assert problem.slug == "hash-mismatch"
    assert hash_changed(pin(), replace(new, sources=(artifact(222).source,))) is None
    assert hash_changed(pin(), pin()) is None
    changed = ladder(
        Shelf(artifact(111, B)),
        old=pin(evidence=Evidence.PINNED, key="loras/ink.safetensors"),
        here=local(B),
    )
    assert unresolved(changed).reason.slug == "hash-mismatch"


# Faults


def test_fault_of_the_hub_ends_the_ladder():
    """Pinned as `local` today and by hash tomorrow, the lock would depend on the weather."""
    answer = unresolved(ladder(Shelf(artifact(), down=True), here=local()))
    assert answer.reason.slug == "server-error"
    assert answer.reason.ref == f"loras/{NAME}"


def test_without_anybody_to_ask_only_what_needs_no_answer_is_pinned():
    assert pinned(ladder(None, old=pin())) == pin()
    assert unresolved(ladder(None)).reason.slug == "offline"
    assert unresolved(ladder(None, here=local())).reason.slug == "offline"
    assert pinned(ladder(None, here=local(), wish=ModelWish(local=True))).evidence is Evidence.LOCAL


# Against the stand-in: no decoy is ever pinned

SHELVES = Catalogue.of(
    [
        model(1, "Juggernaut XL", "Checkpoint", versions=[
            version(11, "V9 + RDPhoto 2_Lightning_4S", files=[file(111, "up.safetensors")]),
            version(12, "V9", files=[file(112, "up9.safetensors")]),
        ]),
        model(2, "Juggernaut Fan Edition XL", "Checkpoint", stats={"thumbs_up": 99999}, versions=[
            version(21, "V9 + RDPhoto 2_Lightning_4S", files=[file(211, "up.safetensors")]),
        ]),
        model(3, "Add More Details", "LORA", versions=[
            version(31, "v1", files=[file(311, "add_detail.safetensors")]),
        ]),
        model(4, "Detail Tweaker", "LORA", versions=[
            version(41, "v1", files=[file(411, "add_detail.safetensors")]),
        ]),
        model(5, "FLUX", "Checkpoint", versions=[
            version(51, "Dev", files=[file(511, "a.safetensors", fp="fp16"),
                                      file(512, "b.safetensors", fp="fp8")]),
        ]),
        model(6, "Ink Wash", "LORA", versions=[
            version(61, "v1", published_at="2024-01-01T00:00:00.000Z",
                    files=[file(611, "ink_wash.safetensors")]),
            version(62, "v2", files=[file(612, "ink_wash_v2.safetensors")]),
        ]),
        model(7, "Ink Wash Reupload", "LORA", versions=[
            version(71, "v1", published_at="2025-01-01T00:00:00.000Z",
                    files=[file(711, "ink_wash.safetensors", seed="file 611")]),
        ]),
        model(8, "Bad Ink", "LORA", versions=[
            version(81, "v1", files=[file(811, "badInk.safetensors", virus_scan="Danger")]),
        ]),
        model(9, "Fresh Ink", "LORA", versions=[
            version(91, "v1", files=[file(911, "freshInk.safetensors", hash_types=())]),
        ]),
        model(10, "Ink Wash", "Checkpoint", versions=[
            version(101, "v1", files=[file(1011, "x.safetensors")]),
        ]),
    ]
)  # fmt: skip


@pytest.fixture
def hub() -> Iterator[Standin]:
    with Standin(SHELVES) as standing:
        yield standing


@pytest.fixture
def client(hub: Standin) -> Iterator[CivitaiClient]:
    transport = Transport(
        keys={}, allowed_hosts=frozenset(), environment={}, reporter=Silence(), offline=False,
        waiting=Waiting(sleep=lambda _: None),
    )  # fmt: skip
    cache = ResponseCache(None, clock=lambda: 1_000_000.0, reporter=Silence())
    yield CivitaiClient(api=transport, cache=cache, base_url=hub.url, reporter=Silence())
    transport.close()
    cache.close()


@pytest.mark.parametrize(
    ("key", "file_id"),
    [
        ("checkpoints/SDXL/juggernautXL_v9Rdphoto2Lightning.safetensors", 111),
        ("checkpoints/juggernautxl_V9RDPHOTO2lightning.safetensors", 111),
        ("checkpoints/juggernautFanEdition_v9Rdphoto2Lightning.safetensors", 211),
        ("checkpoints/juggernautXL_v8.safetensors", None),
        ("loras/add_detail.safetensors", None),
        ("checkpoints/flux_dev.safetensors", None),
        ("loras/ink_wash.safetensors", 611),
        ("loras/ink_wash_v2.safetensors", 612),
        ("loras/ink_wash", 611),
        ("loras/ink_wash_v3.safetensors", None),
        ("loras/badInk.safetensors", None),
        ("loras/freshInk.safetensors", None),
        ("checkpoints/ink_wash.safetensors", None),
        ("vae/ink_wash.safetensors", None),
        ("loras/inkWash_v1.safetensors", None),
    ],
)
def test_only_the_one_certain_file_is_pinned(
    hub: Standin, client: CivitaiClient, key: str, file_id: int | None
):
    folder, _, name = key.partition("/")
    answer = ladder(client, name=name, folder=folder)
    if file_id is None:
        assert not isinstance(answer, Resolved)
        return
    [source] = pinned(answer).sources
    assert isinstance(source, CivitaiSource)
    assert source.file == file_id


def test_faults_of_the_hub_never_look_like_absence(hub: Standin, client: CivitaiClient):
    hub.fault(Fault(kind="status", status=502, times=None))
    assert unresolved(ladder(client, name="ink_wash.safetensors")).reason.slug == "server-error"
    hub.clear_faults()
    assert pinned(ladder(client, name="ink_wash.safetensors")).sources


def test_answer_is_the_same_twice(hub: Standin, client: CivitaiClient):
    first = ladder(client, name="add_detail.safetensors")
    asked = len(hub.requests)
    assert ladder(client, name="add_detail.safetensors") == first
    assert len(hub.requests) == asked
