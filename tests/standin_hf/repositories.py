"""Repositories as values: commits, branches, files in LFS and files in git, gated and private."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from tests.standin.payload import Content, Payload, true_hashes


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file. ``lfs`` off means that git itself holds it, as it does small ones."""

    payload: Payload
    lfs: bool = True
    av_status: str = "safe"

    @property
    def size(self) -> int:
        return self.payload.size

    @cached_property
    def sha256(self) -> str:
        return true_hashes(self.payload)["SHA256"].lower()

    @cached_property
    def oid(self) -> str:
        """Git's blob hash: of the file, or of the pointer that stands for it."""
        text = self.pointer if self.lfs else self.payload.read()
        return hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()

    @property
    def pointer(self) -> bytes:
        return (
            "version https://git-lfs.github.com/spec/v1\n"
            f"oid sha256:{self.sha256}\nsize {self.size}\n"
        ).encode()


def hub_file(
    name: str,
    *,
    seed: str | None = None,
    size: int = 4096,
    lfs: bool = True,
    av_status: str = "safe",
) -> HubFile:
    """Return a file whose bytes look like its name says; the seed makes them what they are."""
    payload = Payload(seed=seed or name, size=size, content=Content.of_name(name))
    return HubFile(payload=payload, lfs=lfs, av_status=av_status)


Files = Mapping[str, HubFile]


@dataclass(frozen=True, kw_only=True)
class Repository:
    """One repository.

    Attributes:
        commits: files by commit, oldest first.
        branches: commit by branch or tag.
        gated: only the keys in ``granted`` may read its files.
        metadata_gated: likewise what its API tells.
        private: who has no key in ``granted`` does not see that it is there.
    """

    name: str
    commits: Mapping[str, Files]
    branches: Mapping[str, str]
    gated: bool = False
    metadata_gated: bool = False
    private: bool = False
    granted: tuple[str, ...] = ()

    def commit(self, revision: str) -> str | None:
        """Return the commit of a branch, a tag, or the commit itself."""
        return revision if revision in self.commits else self.branches.get(revision)

    @property
    def head(self) -> str:
        return self.branches["main"]

    def with_commit(self, files: Files, branch: str = "main") -> "Repository":
        """Return it with one more commit, which the branch is at then."""
        number = len(self.commits)
        commit = hashlib.sha1(f"{self.name} {number}".encode()).hexdigest()
        return replace(
            self,
            commits={**self.commits, commit: dict(files)},
            branches={**self.branches, branch: commit},
        )


def repository(name: str, files: Files, **options: object) -> Repository:
    """Return a repository with one commit, which ``main`` is at."""
    empty = Repository(name=name, commits={}, branches={}, **options)  # type: ignore[arg-type]
    return empty.with_commit(files)


@dataclass(frozen=True, kw_only=True)
class Shelves:
    """All repositories, and where old names lead."""

    repositories: Mapping[str, Repository] = field(default_factory=dict[str, Repository])
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, *repositories: Repository, renamed: Mapping[str, str] | None = None) -> "Shelves":
        return cls(repositories={one.name: one for one in repositories}, renamed=renamed or {})

    def with_repository(self, changed: Repository) -> "Shelves":
        return replace(self, repositories={**self.repositories, changed.name: changed})
