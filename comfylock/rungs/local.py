"""What is at hand: the lock's own entry, and the user's own file, by hash and alone."""

from dataclasses import replace

from comfylock.candidates import of_content
from comfylock.hashes import Digests
from comfylock.lockfile.model import Evidence, Pin
from comfylock.names import shown
from comfylock.rungs.case import Case, Found, Miss, Step, format_of, kept, pinned, refused


def from_lock(case: Case) -> Step | None:
    """Keep the lock's entry; one that rests on a word which the user took back is not kept."""
    if case.old is None or case.old.evidence is Evidence.PINNED:
        return None
    return kept(case, case.old)


def from_local_hash(case: Case) -> Step:
    """Look the user's own file up by its hash."""
    if case.local is None:
        return Miss(rung="hash", reason="no file of this name is in a models folder")
    if case.local.foreign is not None:
        return Miss(rung="hash", reason=f"{case.local.path} is {case.local.foreign} and no model")
    digest = case.local.digests.sha256
    if digest is None:
        return Miss(rung="hash", reason=f"{case.local.path} was not hashed with SHA-256")
    versions = case.catalogs.civitai.by_hashes([digest]).get(digest, ())
    artifacts = of_content(versions, frozenset({digest}))
    if artifacts:
        return Found(files=artifacts, evidence=Evidence.HASH)
    if versions:
        return Miss(
            rung="hash",
            reason=f"Civitai version {versions[0].version} had it and no longer shows the file",
        )
    return Miss(rung="hash", reason=f"Civitai does not know the content of {case.local.path}")


def from_local_alone(case: Case) -> Step:
    """Pin the user's own file by its hash; nobody else has it."""
    local = case.local
    if local is None:
        return Miss(rung="local", reason="no file of this name is in a models folder")
    if local.foreign is not None:
        return refused(case, f"{shown(local.path)} is {local.foreign} and is never pinned")
    if not local.digests:
        return Miss(rung="local", reason=f"{local.path} was not hashed")
    if case.hinted and local.digests.sha256 not in case.hinted:
        return Miss(rung="local", reason=f"{local.path} has not the hash that the workflow gives")
    pin = private_pin(case, local.digests)
    key = case.full_key(local.path)
    return pinned(case, replace(pin, key=key, size=local.size, format=local.format))


def private_pin(case: Case, digests: Digests) -> Pin:
    """Return a pin to a file that no hub is asked for."""
    return Pin(
        key=case.key,
        size=None,
        digests=digests,
        evidence=Evidence.LOCAL,
        format=format_of(case.key),
        aliases=case.requirement.aliases,
    )
