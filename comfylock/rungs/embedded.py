"""What workflows say of a file beside its name: hashes, ids, addresses.

Several addresses may lead to one file, as re-hosted ones do; then the pin has several sources. A
hash that a workflow states decides over every address: what a branch has now may be another file.
"""

from collections.abc import Iterator
from dataclasses import replace

from comfylock.addresses import CivitaiAddress, HuggingFaceAddress
from comfylock.artifacts import Artifact, Candidate, HostedFile
from comfylock.candidates import (
    contents,
    contradicts_hints,
    hinted_addresses,
    hinted_urls,
    is_declared,
    is_meant,
    of_content,
    selected,
    sole_model,
    why_no_file,
)
from comfylock.lockfile.model import Evidence
from comfylock.names import quoted, shown
from comfylock.rungs.case import Case, Found, Miss, Step, ambiguous, unresolved
from comfylock.rungs.hosted import hosted_files, linked_file, why_no_link


def from_embedded(case: Case) -> Step:
    """Follow what the workflows say."""
    if not case.requirement.hints:
        return Miss(rung="embedded", reason="the workflow says nothing of it but the name")
    addresses = hinted_addresses(case.requirement)
    artifacts = (*_of_hinted_content(case), *_of_hinted_version(case))
    hosted, refusal = hosted_files(
        case, (one for one in addresses if isinstance(one, HuggingFaceAddress))
    )
    right = tuple(one for one in hosted if not contradicts_hints(case.requirement, one))
    found: tuple[Candidate, ...] = (*artifacts, *right)
    # What may not be seen could be another file; only a stated hash tells that it does not matter.
    if refusal is not None and not (found and case.hinted):
        raise refusal
    if found:
        return _told(case, found)
    return _other_bytes(case, hosted) if hosted else _from_links(case)


def _of_hinted_content(case: Case) -> Iterator[Artifact]:
    if case.hinted:
        for versions in case.catalogs.civitai.by_hashes(sorted(case.hinted)).values():
            yield from of_content(versions, case.hinted)


def _of_hinted_version(case: Case) -> Iterator[Artifact]:
    for address in hinted_addresses(case.requirement):
        if isinstance(address, CivitaiAddress) and address.version is not None:
            version = case.catalogs.civitai.by_version(address.version)
            files = version.files if version is not None else ()
            meant = tuple(one for one in files if is_meant(case.requirement, address, one))
            if len(contents(meant)) > 1:
                # Files of one version often share a name; older addresses tell them apart.
                meant = selected(address, meant) or meant
            # A node may keep the AIR of a file that was chosen before; an address is declared
            # together with the name.
            declared = not meant and is_declared(case.requirement, address)
            yield from sole_model(case.requirement, files) if declared else meant


def _told(case: Case, found: tuple[Candidate, ...]) -> Step:
    if len(case.hinted) > 1 and len(contents(found)) == 1:
        return ambiguous(case, found, "the workflows give several hashes for it")
    return Found(files=found, evidence=Evidence.EMBEDDED)


def _other_bytes(case: Case, hosted: tuple[HostedFile, ...]) -> Step:
    stated = ", ".join(f"sha256:{one}" for one in sorted(case.hinted)) or "another hash"
    there = "; ".join(f"{shown(str(one.source))} has {one.digests}" for one in hosted)
    return replace(
        unresolved(
            case,
            f"the workflow states {stated}, and {there}",
            "The file was replaced since, or the workflow is wrong: if today's is the one you "
            f"want, `comfylock pin {quoted(case.key)} {quoted(hosted[0].spec)}`",
        ),
        candidates=hosted,
    )


def _from_links(case: Case) -> Step:
    """Pin plain addresses of bytes that the workflow states the hash of."""
    sha256 = min(case.hinted) if len(case.hinted) == 1 else None
    found: list[HostedFile] = []
    reason, hint = why_no_file(case.requirement), _next_step(case)
    for url in hinted_urls(case.requirement):
        complaint = why_no_link(case, url, sha256)
        if complaint is not None:
            reason, hint = complaint
        elif sha256 is not None:
            found.append(linked_file(url, sha256))
    if found:
        return Found(files=tuple(found), evidence=Evidence.EMBEDDED)
    return Miss(rung="embedded", reason=reason, hint=hint)


def _next_step(case: Case) -> str | None:
    addresses = hinted_addresses(case.requirement)
    if not any(isinstance(one, HuggingFaceAddress) for one in addresses):
        return None
    return (
        "Look at the repository's page, and set HF_TOKEN if it is private; or "
        f"take another copy with `comfylock pin {quoted(case.key)} SPEC`"
    )
