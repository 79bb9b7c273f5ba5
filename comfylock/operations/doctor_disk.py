"""What `doctor` says of folders and disks, and of what lies about in them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from comfylock.disk.kept import KeptFile, Kind
from comfylock.disk.probe import Traits, free_bytes, probe
from comfylock.names import shown
from comfylock.operations.cache import look
from comfylock.operations.findings import Finding, Health
from comfylock.session import Session
from comfylock.settings import Aliases, LinkMode

#: Less than this hardly holds one checkpoint.
_LITTLE_BYTES = 10_000_000_000

_LINK_ORDER = (LinkMode.REFLINK, LinkMode.HARDLINK, LinkMode.SYMLINK, LinkMode.COPY)
_AUTO_ORDER = (LinkMode.REFLINK, LinkMode.HARDLINK, LinkMode.COPY)


def examine_folders(session: Session) -> Iterator[Finding]:
    """Say which folders models are looked for in, and whether they can be used.

    Raises:
        ModelsDirMissingError, ConfigInvalidError, PathMissingError: none is known, or not how.
    """
    directories = session.directories
    primary = directories.primary
    yield _primary(primary)
    for path in directories.others:
        yield _searched(path, "models folder", primary)
    for extra in directories.extra:
        yield _searched(extra.directory, f"extra path for {shown(extra.folder)}", primary)


def _primary(path: Path) -> Finding:
    text = f"models folder {shown(str(path))}"
    if not os.access(path, os.R_OK | os.X_OK):
        return _problem("folders", f"{text} cannot be read", "Check who owns it")
    if not os.access(path, os.W_OK):
        fix = "Check who owns it and how it is mounted, or name another folder with --models-dir"
        return _problem("folders", f"{text} cannot be written to: nothing can be installed", fix)
    return Finding(area="folders", message=f"{text}: readable, writable; files are placed here")


def _searched(path: Path, what: str, primary: Path) -> Finding:
    text = f"{what} {shown(str(path))}"
    if not path.is_dir():
        return Finding(
            area="folders",
            health=Health.WARNING,
            message=f"{text} is not there",
            fix="Mount it, or take it out of extra_model_paths.yaml or --models-dir",
        )
    if not os.access(path, os.R_OK | os.X_OK):
        return Finding(
            area="folders",
            health=Health.WARNING,
            message=f"{text} cannot be read: models in it are not found",
            fix="Check who owns it",
        )
    writable = "writable" if os.access(path, os.W_OK) else "read-only, which is enough"
    return Finding(
        area="folders", message=f"{text}: readable, {writable}, {_disk_of(path, primary)}"
    )


def _disk_of(path: Path, primary: Path) -> str:
    try:
        same = path.stat().st_dev == primary.stat().st_dev
    except OSError:
        return "on an unknown disk"
    return "on the same disk" if same else "on another disk (a file there is copied, not linked)"


def examine_disk(session: Session) -> Iterator[Finding]:
    """Say what the disk of the models folder has room for, and which links work on it.

    Raises:
        PlaceError: it cannot be asked.
        ModelsDirMissingError, ConfigInvalidError, PathMissingError: there is no models folder.
    """
    primary = session.directories.primary
    free = free_bytes(primary)
    little = free < _LITTLE_BYTES
    yield Finding(
        area="disk",
        health=Health.WARNING if little else Health.OK,
        message="free on the disk of the models folder",
        fix="Free some room before you install" if little else None,
        bytes=free,
    )
    if not os.access(primary, os.W_OK):
        return
    settings = session.settings
    yield from judge(probe(primary), settings.link_mode, settings.aliases)


def judge(traits: Traits, link_mode: LinkMode, aliases: Aliases) -> Iterator[Finding]:
    """Say what a file system's traits mean for an install with these settings."""
    yield _links(traits, link_mode)
    yield from _kinds(traits)
    yield from _names(traits, aliases)


def _links(traits: Traits, wanted: LinkMode) -> Finding:
    working = [str(mode) for mode in _LINK_ORDER if mode in traits.links]
    first = next(mode for mode in _AUTO_ORDER if mode in traits.links)
    message = f"{', '.join(working)} {'work' if len(working) > 1 else 'works'}; auto takes {first}"
    if wanted is not LinkMode.AUTO and wanted not in traits.links:
        fix = "Set link-mode to auto"
        return _problem("links", f"link-mode is {wanted}, which does not work here; {message}", fix)
    if first is LinkMode.COPY:
        return Finding(
            area="links",
            health=Health.WARNING,
            message=f"{message}: a model under a second name takes its size again",
            fix="Use link-mode symlink, or another file system" if len(working) > 1 else None,
        )
    return Finding(area="links", message=message)


def _kinds(traits: Traits) -> Iterator[Finding]:
    if traits.small_files_only:
        fix = "Put the models folder on another file system"
        yield _problem("disk", f"{traits.kind} holds no file of 4 GB or more", fix)


def _names(traits: Traits, aliases: Aliases) -> Iterator[Finding]:
    case = (
        "case counts: Ink and ink are two files"
        if traits.case_sensitive
        else "case does not count: Ink and ink are one file"
    )
    form = "" if traits.keeps_unicode else "; accented names are listed in another form"
    yield Finding(area="names", message=f"{case}{form}")
    if not traits.backslashes and aliases is Aliases.LINK and os.name != "nt":
        yield Finding(
            area="names",
            health=Health.WARNING,
            message="names with \\ cannot be linked on this file system",
            fix="Run `comfylock fix-paths` on the workflows",
        )


def examine_leftovers(session: Session) -> Iterator[Finding]:
    """Say what interrupted downloads and replaced files lie about.

    Raises:
        ConfigInvalidError, PathMissingError: where models lie cannot be known.
    """
    kept = [file for file in look(session).files if file.is_idle]
    parts = [file for file in kept if file.kind is Kind.PARTIAL and file.path.suffix == ".part"]
    replaced = [file for file in kept if file.kind is Kind.REPLACED]
    goes_on = "`comfylock install` goes on with it; `comfylock cache prune` removes what is old"
    yield from _lying(parts, "interrupted download", goes_on)
    yield from _lying(replaced, "replaced file", "`comfylock cache prune` removes what is old")
    if not parts and not replaced:
        yield Finding(area="leftovers", message="no interrupted downloads, no replaced files")


def _lying(files: Sequence[KeptFile], noun: str, fix: str) -> Iterator[Finding]:
    """Yield one finding for each folder that holds some of these files."""
    for folder in dict.fromkeys(file.path.parent for file in files):
        sizes = [file.size for file in files if file.path.parent == folder]
        count = f"1 {noun}" if len(sizes) == 1 else f"{len(sizes)} {noun}s"
        yield Finding(
            area="leftovers",
            health=Health.WARNING,
            message=f"{count} in {shown(str(folder))}",
            fix=fix,
            bytes=sum(sizes),
        )


def _problem(area: str, message: str, fix: str) -> Finding:
    return Finding(area=area, health=Health.PROBLEM, message=message, fix=fix)
