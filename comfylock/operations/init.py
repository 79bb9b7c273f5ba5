"""`init`: a folder -> comfylock.toml and a line of .gitattributes; what is there stays as it is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from comfylock.errors import (
    ConfigInvalidError,
    ModelsDirMissingError,
    PathMissingError,
    Problem,
    UsageError,
)
from comfylock.inputs import is_glob, relative_input
from comfylock.names import shown
from comfylock.places import LOCK_FILE, PROJECT_FILE
from comfylock.session import Session
from comfylock.writing import write_text

ATTRIBUTES_FILE = ".gitattributes"
ATTRIBUTES_LINE = f"{LOCK_FILE} text eol=lf diff=ini linguist-language=TOML"
_COMMENTS = (
    "# After a merge with conflicts, `comfylock lock` merges both sides of comfy.lock. For git to",
    "# do it at once, add merge=comfylock to the line below and run, once in each checkout:",
    "#   git config merge.comfylock.driver 'comfylock merge-driver %O %A %B'",
)
_WORKFLOWS = "workflows"


_PROJECT_TEXT = """\
# What comfylock is told about this folder. All of it is optional; `comfylock pin`, `unpin` and
# `ignore` write here as well, and your comments stay.

# Where the workflows are: files, folders and globs, relative to this file.
{workflows}

# What is not to be read.
# exclude = ["workflows/scratch/**"]

# Which file a reference means, where the evidence does not say.
# [models."loras/ink-wash.safetensors"]
# pin = "civitai:1180233"            # a version; or a page, an AIR, hf:REPO@REVISION:PATH
# [models."loras/my-face.safetensors"]
# local = true                       # private: pinned by hash, never searched for

# References that are nobody's business; globs are possible.
# [ignore]
# refs = ["loras/None"]

# Inputs of custom nodes that comfylock does not know, and the ComfyUI folder they list.
# [folders]
# "MyLoader.lora_file" = "loras"

# [lock]
# evidence = ["hash", "embedded", "known", "filename"]   # what may pin without asking
# formats = "warn"                   # pickle formats (.ckpt .pt .pth .bin): deny, warn, allow
"""


class Act(StrEnum):
    """What became of a file."""

    WRITTEN = "written"
    ADDED_TO = "added to"
    LEFT = "left as it was"


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file of the set-up.

    Attributes:
        path: where it is.
        act: what became of it.
    """

    path: Path
    act: Act


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """What `init` did and found.

    Attributes:
        files: comfylock.toml and .gitattributes.
        workflows: where the workflows are, as comfylock.toml says now; empty where it is not
            written and when there is no folder for them.
        models_dir: the models folder that counts here, ``None`` when none is known.
        extra_paths: further directories that models may lie in.
        unknown: why there is no models folder.
    """

    files: tuple[File, ...]
    workflows: tuple[str, ...]
    models_dir: Path | None
    extra_paths: int
    unknown: Problem | None


def init(session: Session, directory: Path, workflows: Sequence[str]) -> Begun:
    """Set up a folder for comfylock.

    Args:
        session: for what is known of this machine.
        directory: the folder, absolute.
        workflows: files, folders or globs that are named; else a folder `workflows`, if there is
            one.

    Raises:
        UsageError: a named path leads out of the folder.
        PathMissingError: a named path is not there.
        PlaceError: a file cannot be written.
    """
    named = tuple(_named(path, directory) for path in workflows)
    if not named and (directory / _WORKFLOWS).is_dir():
        named = (_WORKFLOWS,)
    project = _written(directory / PROJECT_FILE, _project_text(named))
    attributes = _with_line(directory / ATTRIBUTES_FILE)
    models_dir, extra_paths, unknown = _models(session)
    return Begun(
        files=(project, attributes),
        workflows=named,
        models_dir=models_dir,
        extra_paths=extra_paths,
        unknown=unknown,
    )


def _named(path: str, directory: Path) -> str:
    relative = relative_input(path, directory, directory)
    if not relative.isprintable() or "\\" in relative:
        raise UsageError(f"{shown(path)} cannot be named in {PROJECT_FILE}", hint="Rename it")
    if not is_glob(relative) and not (directory / relative).exists():
        raise PathMissingError(f"there is no {shown(path)}", hint="Check the path")
    return relative


def _project_text(workflows: Sequence[str]) -> str:
    """Return a comfylock.toml that teaches what can be said in it."""
    listed = ", ".join(json.dumps(path, ensure_ascii=False) for path in workflows)
    line = f"workflows = [{listed}]" if workflows else f'# workflows = ["{_WORKFLOWS}"]'
    return _PROJECT_TEXT.format(workflows=line)


def _written(path: Path, text: str) -> File:
    """Write a file that is not there yet."""
    if path.exists() or path.is_symlink():
        return File(path=path, act=Act.LEFT)
    write_text(path, text)
    return File(path=path, act=Act.WRITTEN)


def _with_line(path: Path) -> File:
    """Add our line to .gitattributes, unless some line there speaks of comfy.lock already."""
    try:
        old = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return _written(path, _lines("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalidError(
            f"{path} cannot be read", hint=f"Add this line to it by hand:\n{ATTRIBUTES_LINE}"
        ) from error
    if any(line.split()[:1] in ([LOCK_FILE], [f"/{LOCK_FILE}"]) for line in old.splitlines()):
        return File(path=path, act=Act.LEFT)
    ending = "\r\n" if "\r\n" in old else "\n"
    gap = "" if not old or old.endswith("\n") else ending
    write_text(path, f"{old}{gap}{_lines(ending)}")
    return File(path=path, act=Act.ADDED_TO)


def _lines(ending: str) -> str:
    return "".join(f"{line}{ending}" for line in (*_COMMENTS, ATTRIBUTES_LINE))


def _models(session: Session) -> tuple[Path | None, int, Problem | None]:
    try:
        directories = session.directories
    except (ModelsDirMissingError, ConfigInvalidError, PathMissingError) as error:
        return None, 0, error.problem()
    return directories.primary, len(directories.extra) + len(directories.others), None
