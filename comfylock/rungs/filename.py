"""One exact file name on Civitai: the weakest evidence that pins."""

from dataclasses import replace

from comfylock.candidates import contradicts_hints
from comfylock.lockfile.model import Evidence
from comfylock.rungs.case import Case, Found, Miss, Step, ambiguous, unresolved


def from_file_name(case: Case) -> Step:
    """Look for files of exactly this name; what is known by hash is never overruled by one."""
    requirement = case.requirement
    found = case.catalogs.civitai.search_name(requirement.name, requirement.folder)
    if not found:
        return Miss(rung="filename", reason="Civitai's search shows no file of exactly this name")
    if not any(one.digests for one in found):
        return replace(
            unresolved(
                case,
                f"Civitai has {case.name} and no full hash of it, so it cannot be pinned",
                "Lock again when it is scanned, or download it once and lock again",
            ),
            candidates=found,
        )
    if any(contradicts_hints(requirement, one) for one in found):
        return ambiguous(case, found, "the workflow gives another hash than Civitai's file has")
    if case.local is not None and any(one.digests.contradicts(case.local.digests) for one in found):
        return ambiguous(
            case, found, f"{case.local.path} has other bytes than Civitai's file of this name"
        )
    return Found(files=found, evidence=Evidence.FILENAME)
