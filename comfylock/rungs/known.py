"""Files that everyone uses and no search finds: a table names the place, the hub the hash.

The table never overrules a hash, whoever states it, and speaks only of one name in one folder.
"""

from comfylock.addresses import CivitaiAddress, HuggingFaceAddress, PlainAddress
from comfylock.artifacts import Artifact, Candidate
from comfylock.candidates import contradicts_hints, same_name
from comfylock.known import KnownFile
from comfylock.lockfile.model import Evidence
from comfylock.names import basename
from comfylock.rungs.case import Case, Found, Miss, Step, ambiguous
from comfylock.rungs.hosted import hosted_files


def from_known(case: Case) -> Step:
    """Look the name up in the table and ask the hub that it names."""
    table = case.catalogs.known
    known = table.get(case.requirement.folder, basename(case.requirement.name))
    if known is None:
        return Miss(rung="known", reason=f"no table of well-known files names {case.name}")
    found = _files(case, known)
    if known.sha256 is not None:
        found = tuple(one for one in found if one.digests.sha256 == known.sha256)
    if not found:
        return _not_to_be_pinned(case, known)
    if any(contradicts_hints(case.requirement, one) for one in found):
        return ambiguous(case, found, "the workflow gives another hash than the well-known file")
    if case.local is not None and any(one.digests.contradicts(case.local.digests) for one in found):
        return ambiguous(
            case, found, f"{case.local.path} has other bytes than the well-known file of this name"
        )
    places = " and ".join(str(one.source) for one in found)
    return Found(
        files=found,
        evidence=Evidence.KNOWN,
        note=f"the table of well-known files of {table.date} names {places}",
    )


def _files(case: Case, known: KnownFile) -> tuple[Candidate, ...]:
    repositories = [one for one in known.places if isinstance(one, HuggingFaceAddress)]
    hosted, refusal = hosted_files(case, repositories)
    if refusal is not None and not hosted:
        raise refusal
    return (*hosted, *_artifacts(case, known))


def _artifacts(case: Case, known: KnownFile) -> tuple[Artifact, ...]:
    found: list[Artifact] = []
    for place in known.places:
        if isinstance(place, CivitaiAddress) and place.version is not None:
            version = case.catalogs.civitai.by_version(place.version)
            files = version.files if version is not None else ()
            named = [one for one in files if same_name(case.requirement.name, one.file_name)]
            found += named or (files if len(files) == 1 else ())
    return tuple(found)


def _not_to_be_pinned(case: Case, known: KnownFile) -> Miss:
    date = case.catalogs.known.date
    links = [one.url for one in known.places if isinstance(one, PlainAddress)]
    if not links:
        reason = f"the table of well-known files of {date} names a place that no longer has it"
        return Miss(rung="known", reason=reason)
    return Miss(
        rung="known",
        reason=f"the table of well-known files of {date} names {links[0]}, and nobody states "
        "the hash of what is there",
        hint=f"Download it from {links[0]} into your models folder and lock again",
    )
