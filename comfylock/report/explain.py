"""The reports of `why` and `tree`."""

from collections.abc import Iterable

from comfylock.artifacts import Source
from comfylock.exports.links import page_address
from comfylock.lockfile.model import Evidence, Pin, WorkflowEntry, pin_to_dict
from comfylock.names import shown
from comfylock.operations.explain import Explained, Tree
from comfylock.progress import size_text
from comfylock.report.page import Page, hint_lines
from comfylock.report.pins import EVIDENCE_WORDS, candidate_fields, candidate_lines
from comfylock.report.sentences import counted


def why_page(found: Explained) -> Page:
    """Show who needs a reference, its pin, and what each rung of the ladder says."""
    subject = found.subject
    return Page(
        out=(
            shown(subject.key),
            *_needed_by(found),
            *_said(found),
            *_pin_lines(subject.pin, subject.key),
            *_ladder(found),
            *candidate_lines(subject.key, found.candidates),
        ),
        has_signs=True,
        err=tuple(hint_lines(found.reason.hint)) if found.reason is not None else (),
        document={
            "ref": subject.key,
            "needed_by": [
                {
                    "workflow": one.workflow,
                    "node": one.node,
                    "type": one.type,
                    "input": one.input,
                    "name": one.name,
                    "active": one.active,
                }
                for one in subject.references
            ],
            "workflows": list(subject.requirement.workflows),
            "pin": _pin_fields(subject.pin),
            "found": _pin_fields(found.found),
            "misses": [{"rung": miss.rung, "reason": miss.reason} for miss in found.misses],
            "reason": found.reason.message if found.reason is not None else None,
            "candidates": [candidate_fields(one) for one in found.candidates],
            "summary": {
                "pinned": subject.pin is not None,
                "evidence": str(subject.pin.evidence) if subject.pin is not None else None,
                "references": len(subject.references),
            },
        },
    )


def _needed_by(found: Explained) -> list[str]:
    lines = [
        f"  needed by   {shown(one.workflow)}  node {shown(one.node)}"
        f"  {shown(one.type)}.{shown(one.input)}{'' if one.active else '  (inactive)'}"
        for one in found.subject.references
    ]
    paths = found.subject.requirement.workflows
    return lines or [f"  needed by   {shown(path)}" for path in paths] or ["  needed by   nothing"]


def _said(found: Explained) -> list[str]:
    if found.wish is None:
        return []
    word = "local = true" if found.wish.local else f"pin = {shown(found.wish.pin or '')}"
    return [f"  said        {word} in comfylock.toml"]


def _pin_lines(pin: Pin | None, ref: str) -> list[str]:
    if pin is None:
        return ["  locked      no"]
    named = f"  {shown(pin.name)}" if pin.name else ""
    size = f"  {size_text(pin.size)}" if pin.size else ""
    base = f"  {shown(pin.base_model)}" if pin.base_model else ""
    key = [] if pin.key == ref else [f"  locked as   {shown(pin.key)}"]
    return [
        *key,
        f"  locked      by {EVIDENCE_WORDS[pin.evidence]}{named}{size}{base}",
        *(f"  sha256      {digest}" for digest in (pin.digests.sha256,) if digest),
        *(f"  blake3      {digest}" for digest in (pin.digests.blake3,) if digest),
        *(line for source in pin.sources for line in _source_lines(source)),
        *([] if pin.sources else ["  source      none: it can only be recognised by its hash"]),
    ]


def _source_lines(source: Source) -> list[str]:
    page = page_address(source)
    return [
        f"  source      {shown(str(source))}",
        *([f"              {shown(page)}"] if page is not None else []),
    ]


def _ladder(found: Explained) -> list[str]:
    lines = [f"  - {miss.rung:<9} {shown(miss.reason)}" for miss in found.misses]
    if found.found is not None:
        lines.append(f"  + {found.found.evidence:<9} {_what(found.found, found.subject.pin)}")
    elif found.reason is not None:
        lines.append(f"  ! {found.reason.slug}: {shown(found.reason.message)}")
    return ["  evidence now:", *lines]


def _what(found: Pin, locked: Pin | None) -> str:
    named = shown(found.name or "the file in the models folder")
    source = f" ({shown(str(found.sources[0]))})" if found.sources else ""
    if locked is not None and locked.digests.contradicts(found.digests):
        return f"{named}{source}, which is another file than the locked one"
    return f"{named}{source}"


def _pin_fields(pin: Pin | None) -> dict[str, object] | None:
    return None if pin is None else pin_to_dict(pin)


def tree_page(found: Tree) -> Page:
    """Show workflows with their models: size, evidence, source."""
    keys = {key for entry in found.entries.values() for key in entry.models}
    open_refs = {ref for entry in found.entries.values() for ref in entry.unresolved}
    total = sum(found.lock.models[key].size or 0 for key in keys)
    where = f"{counted(len(found.entries), 'workflow')}, {counted(len(keys), 'model')}"
    tail = f", {len(open_refs)} not pinned" if open_refs else ""
    return Page(
        out=tuple(line for entry in found.entries.values() for line in _branch(entry, found)),
        err=(
            *(f"warning: {shown(warning)}" for warning in found.lock.warnings),
            f"{where} ({size_text(total)}){tail}",
        ),
        document={
            "workflows": [
                {
                    "path": path,
                    "models": [
                        {"ref": key, **pin_to_dict(found.lock.models[key])} for key in entry.models
                    ],
                    "unresolved": list(entry.unresolved),
                }
                for path, entry in found.entries.items()
            ],
            "summary": {
                "workflows": len(found.entries),
                "models": len(keys),
                "unresolved": len(open_refs),
                "bytes": total,
            },
        },
    )


def _branch(entry: WorkflowEntry, found: Tree) -> list[str]:
    leaves = [_leaf(found.lock.models[key]) for key in entry.models]
    leaves += [f"{shown(ref)}  not pinned" for ref in entry.unresolved]
    return [shown(entry.path), *_twigs(leaves)]


def _twigs(leaves: Iterable[str]) -> list[str]:
    listed = list(leaves)
    last = len(listed) - 1
    return [f"{'└── ' if place == last else '├── '}{leaf}" for place, leaf in enumerate(listed)]


def _leaf(pin: Pin) -> str:
    size = size_text(pin.size) if pin.size else "size unknown"
    source = shown(str(pin.sources[0])) if pin.sources else "no source"
    word = "pinned" if pin.evidence is Evidence.PINNED else str(pin.evidence)
    return f"{shown(pin.key)}  {size}  {word}  {source}"
