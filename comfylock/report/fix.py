"""The report of `fix-paths`."""

from comfylock.names import shown
from comfylock.operations.fix_paths import Fixed
from comfylock.report.page import Page
from comfylock.report.sentences import counted


def fix_page(done: Fixed, *, wrote: bool, check: bool, verbose: bool) -> Page:
    """Show which names of which workflows were rewritten.

    Args:
        done: the result.
        wrote: files were written, not only looked at.
        check: that something would change is an answer of no.
        verbose: also what was passed over.
    """
    rows: list[str] = []
    for file in done.files:
        rows.append(shown(file.path))
        rows += [f"  {shown(old)} -> {shown(new)}" for old, new in file.names]
    names = sum(len(file.names) for file in done.files)
    passed = [f"passed over {shown(skip.path)}: {skip.reason}" for skip in done.passed_over]
    stuck = [f"warning: {shown(skip.path)} stays: {skip.reason}" for skip in done.stuck]
    stale = ["comfy.lock records spellings: run `comfylock lock`"]
    return Page(
        out=tuple(rows),
        err=(
            *(passed if verbose else ()),
            *stuck,
            _sentence(done, names, wrote=wrote),
            *(stale if wrote and done.files and done.has_lock else ()),
        ),
        problems=done.broken,
        document={
            "files": [
                {
                    "path": file.path,
                    "names": [{"from": old, "to": new} for old, new in file.names],
                    "places": file.places,
                }
                for file in done.files
            ],
            "skipped": [
                *(
                    {"path": skip.path, "reason": skip.reason}
                    for skip in (*done.passed_over, *done.stuck)
                ),
                *({"path": broken.ref, "reason": broken.message} for broken in done.broken),
            ],
            "summary": {
                "workflows": done.looked_at,
                "files": len(done.files),
                "names": names,
                "places": sum(file.places for file in done.files),
                "written": wrote and bool(done.files),
            },
        },
        exit_code=1 if done.broken or (check and done.files) else 0,
    )


def _sentence(done: Fixed, names: int, *, wrote: bool) -> str:
    looked_at = counted(done.looked_at, "workflow")
    if not done.files:
        return f"Nothing to rewrite in {looked_at}"
    verb = "Rewrote" if wrote else "Would rewrite"
    return f"{verb} {counted(names, 'name')} in {len(done.files)} of {looked_at}"
