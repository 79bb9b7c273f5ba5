"""The pages of `diff`: for a terminal, for a pull request, for a program."""

from collections.abc import Sequence

from comfylock.artifacts import Source
from comfylock.errors import Problem
from comfylock.exports.links import page_address
from comfylock.lockfile.changes import ChangeKind
from comfylock.lockfile.merge import Merged, told_conflicts
from comfylock.lockfile.model import Pin, pin_to_dict
from comfylock.lockfile.review import Alarm, Review, ReviewedModel, ReviewedWorkflow
from comfylock.names import shown
from comfylock.operations.diff import Diffed, Side
from comfylock.progress import size_text
from comfylock.report.markdown import code, link, plain, table
from comfylock.report.page import Page, hint_lines
from comfylock.report.pins import EVIDENCE_WORDS, change_fields, pin_of
from comfylock.report.sentences import counted

_ALARMS = {
    Alarm.HASH_CHANGED: "OTHER BYTES under the same source: the file was replaced, or the lock "
    "was tampered with",
    Alarm.NEW_HOST: "comes from a host that no model came from before",
    Alarm.PICKLE: "pickle format: may run code when it is loaded",
    Alarm.OTHER_PLACE: "comes from another model page than before",
    Alarm.NEW_SOURCE: "the same bytes get another source",
    Alarm.WEAKER_HASHES: "a hash that the old lock had is gone",
    Alarm.FILENAME: "pinned by its file name alone",
    Alarm.NO_SOURCE: "has no source: it cannot be fetched",
    Alarm.GROWN: "much larger than before",
}
#: Alarms that no ordinary change raises.
_LOUD = frozenset({Alarm.HASH_CHANGED})
_MOST_WORKFLOWS = 3
_RENAMED = "If it had another name there, say so: `comfylock diff REVISION:PATH`"


def diff_page(found: Diffed, *, markdown: bool, exit_code: bool) -> Page:
    """Show what differs.

    Args:
        found: the result.
        markdown: as a comment for a pull request.
        exit_code: that anything differs is an answer of no.
    """
    review = found.review
    lines = _markdown(found) if markdown else _text(review)
    notes = [f"There is no {shown(side.label)}: taken for empty" for side in _absent(found)]
    hint = hint_lines(_RENAMED) if notes and not markdown else []
    return Page(
        out=tuple(lines),
        err=() if markdown else (*_warnings(found), *notes, _sentence(review), *hint),
        document=_document(found),
        has_signs=not markdown,
        exit_code=1 if exit_code and not review.equal else 0,
    )


def _absent(found: Diffed) -> Sequence[Side]:
    return [side for side in (found.old, found.new) if side.absent]


def _warnings(found: Diffed) -> list[str]:
    told = dict.fromkeys((*found.old.lock.warnings, *found.new.lock.warnings))
    return [f"warning: {shown(text)}" for text in told]


def merge_page(merged: Merged | None) -> Page:
    """Say what became of a merge that git asked for."""
    hint = "Edit the conflict in comfy.lock, then run `comfylock lock`"
    if merged is None:
        problem = Problem(slug="lock-conflict", message="a side of the merge is no lock", hint=hint)
        return Page(problems=(problem,), exit_code=1)
    if not merged.conflicts:
        return Page()
    told = f"both sides of the merge pin these models differently:{told_conflicts(merged)}"
    return Page(problems=(Problem(slug="lock-conflict", message=told, hint=hint),), exit_code=1)


# ------------------------------------------------------------------------- what all forms say


def _counts(review: Review) -> dict[str, int]:
    kinds = [one.change.change for one in review.models]
    repinned = sum(1 for one in review.models if one.repinned)
    return {
        "added": kinds.count(ChangeKind.ADDED),
        "removed": kinds.count(ChangeKind.REMOVED),
        "repinned": repinned,
        "described": kinds.count(ChangeKind.UPDATED) - repinned,
    }


def _sentence(review: Review) -> str:
    if review.equal:
        return "No difference"
    words = {"described": "described differently"}
    parts = [f"{count} {words.get(name, name)}" for name, count in _counts(review).items() if count]
    if not parts:
        return "The models are the same; workflows or inputs differ"
    return f"{', '.join(parts)}; {_total(review)}"


def _total(review: Review) -> str:
    sizes = f"{size_text(review.bytes_before)} -> {size_text(review.bytes_after)}"
    delta = review.bytes_after - review.bytes_before
    return (
        f"{sizes} in all ({_delta(delta)})" if delta else f"{size_text(review.bytes_after)} in all"
    )


def _delta(count: int) -> str:
    return f"{'+' if count >= 0 else '-'}{size_text(abs(count))}"


def _sign(one: ReviewedModel) -> str:
    if one.change.change is ChangeKind.UPDATED:
        return "*" if one.repinned else "="
    return "+" if one.change.change is ChangeKind.ADDED else "-"


def _size(pin: Pin) -> str:
    return "size unknown" if pin.size is None else size_text(pin.size)


def _sizes(old: Pin, new: Pin) -> str:
    if old.size is None or new.size is None or old.size == new.size:
        return _size(new)
    return f"{_size(old)} -> {_size(new)} ({_delta(new.size - old.size)})"


def _changed_facts(old: Pin, new: Pin) -> list[tuple[str, str, str]]:
    """Return (what, before, after) of everything but bytes that differs between two pins."""
    facts = (
        ("name", old.name or "unnamed", new.name or "unnamed"),
        ("base model", old.base_model or "unsaid", new.base_model or "unsaid"),
        ("source", _sources(old.sources), _sources(new.sources)),
        ("evidence", EVIDENCE_WORDS[old.evidence], EVIDENCE_WORDS[new.evidence]),
        ("format", old.format, new.format),
        ("aliases", ", ".join(old.aliases) or "none", ", ".join(new.aliases) or "none"),
    )
    return [fact for fact in facts if fact[1] != fact[2]]


def _sources(sources: Sequence[Source]) -> str:
    return ", then ".join(map(str, sources)) or "none"


# -------------------------------------------------------------------------------- plain text


def _text(review: Review) -> list[str]:
    lines = [f"! {shown(host)} is a new host" for host in review.new_hosts]
    for one in review.models:
        lines += _model_lines(one)
    for workflow in review.workflows:
        lines += _workflow_lines(workflow)
    return lines


def _model_lines(one: ReviewedModel) -> list[str]:
    return [
        f"{_sign(one)} {shown(one.change.ref)}  {_what(one)}",
        *(f"    ! {_ALARMS[alarm]}" for alarm in one.alarms),
        *(f"    {line}" for line in _facts(one)),
        *(f"    {line}" for line in _needed_by(one)),
    ]


def _what(one: ReviewedModel) -> str:
    old, new = one.change.old, one.change.new
    if old is None or new is None:
        pin = pin_of(one.change)
        return "  ".join([*([shown(pin.name)] if pin.name else []), _size(pin)])
    return _sizes(old, new) if one.repinned else "the same file"


def _facts(one: ReviewedModel) -> list[str]:
    old, new = one.change.old, one.change.new
    if new is None:
        return []
    if old is None:
        return [f"{shown(_sources(new.sources))}, by {EVIDENCE_WORDS[new.evidence]}"]
    return [
        f"{what}: {shown(before)} -> {shown(after)}"
        for what, before, after in _changed_facts(old, new)
    ]


def _needed_by(one: ReviewedModel) -> list[str]:
    if not one.workflows:
        return []
    return [f"in {', '.join(map(shown, _few(one.workflows)))}{_more(one.workflows)}"]


def _few(workflows: Sequence[str]) -> Sequence[str]:
    return workflows[:_MOST_WORKFLOWS]


def _more(workflows: Sequence[str]) -> str:
    more = len(workflows) - _MOST_WORKFLOWS
    return f" and {more} more" if more > 0 else ""


def _workflow_lines(one: ReviewedWorkflow) -> list[str]:
    sign = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.UPDATED: "*"}[one.change]
    return [
        f"{sign} {shown(one.path)}",
        *(f"    + {shown(key)}" for key in one.added),
        *(f"    - {shown(key)}" for key in one.removed),
        *(f"    ? {shown(ref)}  unresolved" for ref in one.unresolved),
        *(f"    - {shown(ref)}  unresolved before, and no longer asked for" for ref in one.dropped),
    ]


# ------------------------------------------------------------------------------- pull requests


def _markdown(found: Diffed) -> list[str]:
    review = found.review
    head = f"### {code(found.new.label)}: {plain(_sentence(review).replace('->', '→'))}"
    notes = [f"There is no {code(side.label)}: taken for empty." for side in _absent(found)]
    parts = [[head], notes, _caution(review), _warning(review), _models(review), _needs(review)]
    return [line for part in parts if part for line in (*part, "")][:-1]


def _caution(review: Review) -> list[str]:
    loud = [one for one in review.models if _LOUD & set(one.alarms)]
    if not loud:
        return []
    lines = [f"> - {code(one.change.ref)} {_from(one)}" for one in loud]
    return [
        "> [!CAUTION]",
        "> **Other bytes under the same source.** Its owner replaced the file, or somebody",
        "> tampered with the lock. Do not merge before you know which:",
        ">",
        *lines,
    ]


def _from(one: ReviewedModel) -> str:
    return f"from {_linked(pin_of(one.change).sources)}"


def _warning(review: Review) -> list[str]:
    lines = [
        f"> - {code(host)} is a host that no model came from before" for host in review.new_hosts
    ]
    lines += [
        f"> - {code(one.change.ref)}: {_ALARMS[alarm]}"
        for one in review.models
        for alarm in one.alarms
        if alarm not in _LOUD and alarm is not Alarm.NEW_HOST
    ]
    return ["> [!WARNING]", "> Look at these:", ">", *lines] if lines else []


def _models(review: Review) -> list[str]:
    if not review.models:
        return []
    words = {"+": "added", "-": "removed", "*": "**repinned**", "=": "same bytes"}
    rows = [
        (
            words[_sign(one)],
            code(one.change.ref),
            _story(one),
            _markdown_size(one),
            "<br>".join(map(code, _few(one.workflows))) + _more(one.workflows),
        )
        for one in review.models
    ]
    return table(("change", "model", "what", "size:", "workflows"), rows)


def _markdown_size(one: ReviewedModel) -> str:
    old, new = one.change.old, one.change.new
    if one.repinned and old is not None and new is not None:
        return _sizes(old, new).replace(" -> ", " → ")
    return _size(pin_of(one.change))


def _story(one: ReviewedModel) -> str:
    old, new = one.change.old, one.change.new
    if new is None or old is None:
        pin = pin_of(one.change)
        named = [plain(pin.name)] if pin.name else []
        tail = [f"by {EVIDENCE_WORDS[pin.evidence]}"] if new is not None else []
        return "<br>".join([*named, _linked(pin.sources), *tail])
    lines = [
        f"{what}: {plain(before)} → {plain(after)}"
        for what, before, after in _changed_facts(old, new)
        if what != "source"
    ]
    if old.sources != new.sources:
        lines.append(f"source: {_linked(old.sources)} → {_linked(new.sources)}")
    return "<br>".join(lines) or "other bytes"


def _linked(sources: Sequence[Source]) -> str:
    return ", ".join(map(_source_link, sources)) or "no source"


def _source_link(source: Source) -> str:
    address = page_address(source)
    return code(str(source)) if address is None else link(str(source), address)


def _needs(review: Review) -> list[str]:
    if not review.workflows:
        return []
    rows = [
        (
            str(one.change),
            code(one.path),
            "<br>".join(
                [
                    *(f"added {code(key)}" for key in one.added),
                    *(f"removed {code(key)}" for key in one.removed),
                    *(f"**unresolved** {code(ref)}" for ref in one.unresolved),
                    *(f"no longer unresolved {code(ref)}" for ref in one.dropped),
                ]
            ),
        )
        for one in review.workflows
    ]
    head = f"<details><summary>{counted(len(rows), 'workflow')} changed</summary>"
    return [head, "", *table(("change", "workflow", "needs"), rows), "", "</details>"]


# ------------------------------------------------------------------------------------- JSON


def _document(found: Diffed) -> dict[str, object]:
    review = found.review
    return {
        "old": found.old.label,
        "new": found.new.label,
        "equal": review.equal,
        "changes": [_change_fields(one) for one in review.models],
        "workflows": [
            {
                "path": one.path,
                "change": str(one.change),
                "added": list(one.added),
                "removed": list(one.removed),
                "unresolved": list(one.unresolved),
                "dropped": list(one.dropped),
            }
            for one in review.workflows
        ],
        "new_hosts": list(review.new_hosts),
        "summary": {
            **_counts(review),
            "workflows": len(review.workflows),
            "alarms": sum(len(one.alarms) for one in review.models),
            "bytes_before": review.bytes_before,
            "bytes_after": review.bytes_after,
        },
    }


def _change_fields(one: ReviewedModel) -> dict[str, object]:
    return {
        **change_fields(one.change),
        "repinned": one.repinned,
        "old": None if one.change.old is None else pin_to_dict(one.change.old),
        "new": None if one.change.new is None else pin_to_dict(one.change.new),
        "workflows": list(one.workflows),
        "alarms": [{"slug": str(alarm), "message": _ALARMS[alarm]} for alarm in one.alarms],
    }
