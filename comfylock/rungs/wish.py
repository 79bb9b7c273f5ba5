"""The user's word in comfylock.toml; it ends the ladder, whatever it leads to."""

from dataclasses import replace

from comfylock.addresses import CivitaiAddress, HuggingFaceAddress, PlainAddress, parse_spec
from comfylock.artifacts import Artifact, Candidate, ModelVersion, Traits
from comfylock.candidates import belongs, follows, of_content, same_name, selected
from comfylock.hashes import Digests
from comfylock.lockfile.model import Evidence
from comfylock.names import shown
from comfylock.rungs.case import Case, Found, Miss, Step, kept, pinned, unresolved
from comfylock.rungs.hosted import linked_file, why_no_word
from comfylock.rungs.local import from_local_alone, private_pin


def from_wish(case: Case) -> Step | None:
    """Do as the user says; ``None`` when nothing is said."""
    if case.wish.local:
        return _private(case)
    if case.wish.pin is None:
        return None
    if case.old is not None and follows(case.old, case.wish):
        return kept(case, case.old)
    address = parse_spec(case.wish.pin)
    match address:
        case CivitaiAddress(version=version) if version is not None:
            step = _in_version(case, address)
        case HuggingFaceAddress():
            step = _in_repository(case, address)
        case PlainAddress():
            step = _at_address(case, address)
        case _:
            step = _names_nothing(case)
    return _checked(case, step) if isinstance(step, Found) else step


def _private(case: Case) -> Step:
    """Pin the user's own file; where its hash is said, nothing need lie here for that."""
    said, old = case.wish.sha256, case.old
    if old is not None and old.evidence is Evidence.LOCAL and said in {None, old.digests.sha256}:
        return kept(case, old)
    if said is not None and (case.local is None or case.local.digests.sha256 != said):
        pin = private_pin(case, Digests(sha256=said))
        return pinned(case, replace(pin, size=case.wish.size))
    step = from_local_alone(case)
    if not isinstance(step, Miss):
        return step
    return unresolved(
        case,
        f"comfylock.toml says that it is a local file, and {step.reason}",
        "Put the file into a models folder and lock again",
    )


def _in_version(case: Case, address: CivitaiAddress) -> Step:
    assert address.version is not None, "the caller has seen one"
    version = case.catalogs.civitai.by_version(address.version)
    if version is not None and address.model not in {None, version.model}:
        return _of_another_model(case, version, address)
    if version is not None:
        return _meant_in(case, version, address)
    return unresolved(
        case,
        f"the pin is Civitai version {address.version}, which is not there",
        "Look for another with `comfylock search`, then `comfylock pin` it",
    )


def _meant_in(case: Case, version: ModelVersion, address: CivitaiAddress) -> Step:
    """Choose the file of a version that the user pinned; the name need not be the same."""
    if address.file is not None:
        meant = tuple(one for one in version.files if one.source.file == address.file)
    else:
        fitting = [
            one for one in selected(address, version.files) if belongs(one, case.requirement.folder)
        ]
        named = [one for one in fitting if same_name(case.requirement.name, one.file_name)]
        meant = tuple(named or fitting) or _linked(case, version, address)
    if meant:
        return Found(files=meant, evidence=Evidence.PINNED)
    wanted = f"file {address.file}" if address.file is not None else "file for this folder"
    if address.kind or address.traits != Traits():
        wanted = "file for this folder that is as the address says"
    return replace(
        unresolved(
            case,
            f"Civitai version {version.version} has no {wanted}",
            "Pin one of its files as `civitai:VERSION/FILE`",
        ),
        candidates=version.files,
    )


def _linked(case: Case, version: ModelVersion, address: CivitaiAddress) -> tuple[Artifact, ...]:
    """Return the VAE that a version is only shown with, from the version that it belongs to."""
    digests = frozenset(one.sha256 for one in version.linked if one.sha256)
    if address.kind.casefold() != "vae" or not digests:
        return ()
    owners = case.catalogs.civitai.by_hashes(sorted(digests))
    files = (one for versions in owners.values() for one in of_content(versions, digests))
    return tuple(one for one in files if belongs(one, case.requirement.folder))


def _of_another_model(case: Case, version: ModelVersion, address: CivitaiAddress) -> Step:
    """Refuse a word that contradicts itself; the site would show the model's latest version."""
    return replace(
        unresolved(
            case,
            f"the pin names Civitai model {address.model}, and version {version.version} belongs "
            f"to model {version.model} ({shown(version.model_name)})",
            f"If that version is meant, say `civitai:{version.version}`; else look for the right "
            "one with `comfylock search`",
        ),
        candidates=version.files,
    )


def _in_repository(case: Case, address: HuggingFaceAddress) -> Step:
    file = case.catalogs.huggingface.file_at(address)
    if file is not None:
        return Found(files=(file,), evidence=Evidence.PINNED)
    place = shown(f"{address.repo}@{address.revision}")
    return unresolved(
        case,
        f"the pin is {shown(address.file)} of huggingface {place}, "
        "which is not there, or not to be seen without a key",
        "Look at the repository's page; if it is private, set HF_TOKEN",
    )


def _at_address(case: Case, address: PlainAddress) -> Step:
    reason = why_no_word(case, address.url, case.wish.sha256)
    if reason is None and case.wish.sha256 is not None:
        file = linked_file(address.url, case.wish.sha256)
        return Found(files=(file,), evidence=Evidence.PINNED)
    message, hint = reason or ("it has no hash", "Add its sha256.")
    return unresolved(case, f"the pin is an address: {message}", hint)


def _names_nothing(case: Case) -> Step:
    return unresolved(
        case,
        f"the pin is {shown(case.wish.pin or '')!r}, which names no single file",
        "Pin it as `civitai:VERSION`, `civitai:VERSION/FILE`, `hf:REPO@REVISION:PATH` or an https "
        "address with its sha256; for a file that only you have, say `local = true`",
    )


def _checked(case: Case, found: Found) -> Step:
    """Hold what the user's word led to against the hash that the user gives."""
    wanted = case.wish.sha256
    if wanted is None or any(one.digests.sha256 == wanted for one in found.files):
        files: tuple[Candidate, ...] = found.files
        if wanted is not None:
            files = tuple(one for one in files if one.digests.sha256 == wanted)
        return replace(found, files=files)
    return replace(
        unresolved(
            case,
            f"comfylock.toml says sha256:{wanted}, and {found.files[0].spec} "
            f"has {found.files[0].digests}",
            "Correct the hash or the pin; nothing is pinned until they agree",
        ),
        candidates=found.files,
    )
