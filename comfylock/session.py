"""The world that a command works in: settings, folders, caches and hubs, opened when first used.

The composition root: the only place that builds the Civitai client, the fetcher, the scanner and
the caches, and hands them to what decides and acts. Nothing is opened that a command does not
need: an install with nothing to do imports no HTTP client and opens no user cache.
"""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from comfylock.actions import Plan
from comfylock.config import (
    ProjectConfig,
    UserConfig,
    cache_dir,
    config_dir,
    read_project_config,
    read_user_config,
)
from comfylock.directories import ModelDirectories
from comfylock.disk.hashcache import HashCache
from comfylock.disk.scan import Scanner, Verify
from comfylock.disk.tree import STATE_DIRECTORY
from comfylock.errors import (
    FetchError,
    LockConflictError,
    LockMissingError,
    ModelsDirMissingError,
    UsageError,
)
from comfylock.events import Noted, Reporter
from comfylock.hubs import Hub, Reuse, hub_from_environment
from comfylock.inputs import Inputs, gather_inputs, relative_input
from comfylock.inventory import Inventory
from comfylock.lockfile.changes import Wanted
from comfylock.lockfile.file import read_lock, write_lock
from comfylock.lockfile.model import Lock, Pin, unsafe_path_reason
from comfylock.names import shown, split_key, unsafe_reason
from comfylock.places import PROJECT_FILE, find_directories, find_lock
from comfylock.plan import OnOccupied, Policy
from comfylock.settings import Choices, Settings, choices_from_environment, choose_settings

if TYPE_CHECKING:
    from comfylock.artifacts import Source
    from comfylock.civitai.cache import ResponseCache
    from comfylock.civitai.client import CivitaiClient
    from comfylock.disk.place import Destination
    from comfylock.disk.streams import Body
    from comfylock.folders import NodeTable
    from comfylock.huggingface.client import HuggingFaceClient
    from comfylock.locking import Asking
    from comfylock.outcomes import Outcome
    from comfylock.reading import Reading
    from comfylock.references import Reference, Requirement
    from comfylock.resolve import LocalMatch
    from comfylock.web.fetch import Fetcher, Stretch
    from comfylock.web.transport import Transport
    from comfylock.workflows.shapes import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What the command line says.

    Attributes:
        directory: where the command works (`-C`); relative paths start there.
        lockfile: `--lockfile`, ``None`` to look for comfy.lock from `directory` upward.
        models_dirs: `--models-dir`, the first is where files are placed.
        extra_model_paths: `--extra-model-paths`.
        offline: make no request.
        choices: settings that were given as flags.
        on_occupied: what becomes of a user's file in a spot.
        verify: how files in their spots are known to be unchanged.
        hash_local: whether `lock` looks at files in the models folders.
        object_info: a file or address that tells the inputs of a running ComfyUI's nodes.
        reuse: which kept answers of the API serve without asking again.
    """

    directory: Path
    lockfile: Path | None = None
    models_dirs: tuple[Path, ...] = ()
    extra_model_paths: tuple[Path, ...] = ()
    offline: bool = False
    choices: Choices = field(default_factory=Choices)
    on_occupied: OnOccupied = OnOccupied.BLOCK
    verify: Verify = Verify.STAT
    hash_local: bool = True
    object_info: str | None = None
    reuse: Reuse = Reuse.DAY


class Session:
    """Opens what a command needs of the world, once; use as a context manager.

    Args:
        wishes: what the command line says.
        environment: variables of the process.
        reporter: told of what happens.
    """

    def __init__(self, wishes: Wishes, environment: Mapping[str, str], reporter: Reporter) -> None:
        self._wishes = wishes
        self.environment = environment
        self.reporter = reporter
        self.stop = threading.Event()
        self._guard = threading.Lock()

    def __enter__(self) -> "Session":
        """Nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was opened."""
        if "_transport" in vars(self):
            self._transport.close()
        if "hash_cache" in vars(self):
            self.hash_cache.compact()

    # ----------------------------------------------------------------- settings and folders

    @cached_property
    def lock_path(self) -> Path:
        """Where comfy.lock is, or will be."""
        return find_lock(self._wishes.directory.absolute(), self._wishes.lockfile)

    @property
    def base(self) -> Path:
        """The folder that workflow paths are relative to."""
        return self.lock_path.parent

    def path_of(self, text: str) -> Path:
        """Return a path as it was typed."""
        return self._wishes.directory / Path(text).expanduser()

    @cached_property
    def project(self) -> ProjectConfig:
        """What comfylock.toml beside the lock says."""
        return read_project_config(self.base / PROJECT_FILE)

    @cached_property
    def user(self) -> UserConfig:
        """What the user's own config.toml says."""
        return read_user_config(config_dir(self.environment) / "config.toml")

    @cached_property
    def settings(self) -> Settings:
        """What counts in the end."""
        return choose_settings(
            self._wishes.choices,
            choices_from_environment(self.environment),
            self.project,
            self.user,
        )

    @cached_property
    def hub(self) -> Hub:
        """Where the hubs are, and the user's keys for them."""
        return hub_from_environment(self.environment, self.user.hub)

    @cached_property
    def directories(self) -> ModelDirectories:
        """The models folders.

        Raises:
            ModelsDirMissingError: none is known.
        """
        wishes = self._wishes
        return find_directories(
            wishes.directory,
            wishes.models_dirs,
            wishes.extra_model_paths,
            environment=self.environment,
            user=self.user,
            base=self.base,
        )

    @cached_property
    def known_folders(self) -> frozenset[str]:
        """The folders that ComfyUI, known nodes and the user's files load models from."""
        from comfylock.folders import KNOWN_FOLDERS

        own = (split_key(folder)[0] for folder in self.project.folders.values())
        return frozenset({*KNOWN_FOLDERS, *own, *(one.folder for one in self.directories.extra)})

    @cached_property
    def policy(self) -> Policy:
        """What the user allows an install to do."""
        return Policy(
            on_occupied=self._wishes.on_occupied,
            formats=self.settings.formats,
            link_mode=self.settings.link_mode,
            allowed_hosts=frozenset(self.user.allow_hosts),
        )

    # ------------------------------------------------------------------ lock and workflows

    def old_lock(self) -> tuple[Lock | None, tuple[str, ...]]:
        """Return the lock that is there, merged if it has conflict markers, and a note of that.

        Raises:
            LockInvalidError, LockVersionError: it is there and cannot be used.
            LockConflictError: its two sides disagree.
        """
        try:
            lock = read_lock(self.lock_path)
        except LockMissingError:
            return None, ()
        except LockConflictError:
            from comfylock.lockfile.merge import read_conflicted

            merged, told = read_conflicted(self.lock_path)
            return merged, (told,)
        return lock, ()

    def write_lock(self, lock: Lock) -> bool:
        """Write comfy.lock if its bytes change, and say whether they did."""
        return write_lock(self.lock_path, lock)

    def lock_inputs(self, paths: Sequence[str], old: Lock | None) -> Inputs:
        """Return the inputs of a lock: what is named now besides what is recorded."""
        named = [relative_input(path, self._wishes.directory, self.base) for path in paths]
        for item in named:
            complaint = None if item == "." else unsafe_path_reason(item)
            if complaint is not None:
                raise UsageError(f"{shown(item)} cannot be named in comfy.lock: {complaint}")
        return gather_inputs(
            named,
            old.inputs if old is not None else (),
            self.project.workflows,
            self.leads_somewhere,
        )

    def scan_inputs(self, paths: Sequence[str], old: Lock | None) -> tuple[str, ...]:
        """Return what is named, or else what a lock would be made from."""
        if not paths:
            return self.lock_inputs((), old).read
        return tuple(relative_input(path, self._wishes.directory, self.base) for path in paths)

    def leads_somewhere(self, item: str) -> bool:
        """Say whether an input of a lock names anything that is here."""
        from comfylock.workflows.find import leads_somewhere

        return leads_somewhere(item, self.base, self.project.exclude)

    @cached_property
    def node_table(self) -> "NodeTable":
        """Which node inputs name models: the tables', the project's, and a running ComfyUI's."""
        from comfylock.folders import load_node_table

        table = load_node_table(self.project.folders)
        place = self._wishes.object_info
        if place is None:
            return table
        from comfylock.objectinfo import with_object_info

        return with_object_info(table, self._object_info(place))

    def _object_info(self, place: str) -> "Json":
        from comfylock.disk.rewrite import read_beginning
        from comfylock.objectinfo import MAX_BYTES, parse_object_info

        if "://" not in place:
            path = self._wishes.directory / place
            return parse_object_info(read_beginning(path, MAX_BYTES + 1), place)
        from comfylock.web.objectinfo import fetch_object_info

        return fetch_object_info(
            place, self.environment, self.reporter, offline=self._wishes.offline
        )

    def read_workflows(self, inputs: Sequence[str]) -> "Reading":
        """Read the workflows that inputs lead to, and tell what is passed over."""
        from comfylock.reading import read_inputs

        reading = read_inputs(inputs, self.base, self.project.exclude, self.node_table)
        for skipped in reading.passed_over:
            self.reporter.on(Noted(message=f"passed over {skipped.path}: {skipped.reason}"))
        return reading

    def requirements(self, references: "Sequence[Reference]") -> "tuple[Requirement, ...]":
        """Return what references need, by the project's rules."""
        from comfylock.reading import requirements_of
        from comfylock.references import InactivePolicy

        inactive = InactivePolicy.INCLUDE if self.settings.inactive else InactivePolicy.LEAVE_OUT
        return requirements_of(references, inactive, self.project.ignore)

    def wanted(self, reading: "Reading") -> dict[str, Wanted]:
        """Return what each workflow asks for, by the project's rules."""
        from comfylock.reading import wanted_of

        return {
            path: wanted_of(self.requirements(references))
            for path, references in reading.references.items()
        }

    # ------------------------------------------------------------------------ the hubs

    @property
    def asks_anew(self) -> bool:
        """Whether no answer of the hubs that was kept before serves."""
        return self._wishes.reuse is Reuse.NEVER

    def asking(self, requirements: "Sequence[Requirement]") -> "Asking":
        """Return where answers for these requirements come from; local files are hashed now."""
        from comfylock.known import load_known_files
        from comfylock.locking import Asking, digests_to_look_up
        from comfylock.resolve import Catalogs

        local = self._local_matches(requirements) if self._wishes.hash_local else {}
        digests = digests_to_look_up(
            requirements, local, self.project.models, self.settings.evidence
        )
        if digests:
            # All in one request; the answers are kept, so that each look-up finds its own.
            with suppress(FetchError):
                self.catalog.by_hashes(digests)
        return Asking(
            catalog=Catalogs(
                civitai=self.catalog,
                huggingface=self.repositories,
                known=load_known_files(),
                allowed_hosts=frozenset(self.user.allow_hosts),
            ),
            local=local,
            wishes=self.project.models,
            rungs=self.settings.evidence,
            reporter=self.reporter,
        )

    def has_local_file(self, key: str) -> bool:
        """Say whether a file lies where a key, or one of its possible extensions, belongs."""
        if not self._wishes.hash_local:
            return False
        try:
            directories = self.directories
        except ModelsDirMissingError:
            return False
        from comfylock.localfiles import spellings

        folder, _ = split_key(key)
        return any(
            (directory / split_key(spelled)[1]).is_file()
            for spelled in spellings(key)
            if unsafe_reason(spelled) is None
            for directory in directories.directories(folder)
        )

    def _local_matches(self, requirements: "Sequence[Requirement]") -> "dict[str, LocalMatch]":
        from comfylock.localfiles import local_match

        try:
            scanner = self._scanner()
        except ModelsDirMissingError:
            self.reporter.on(Noted(message="no models folder is known: no local file was seen"))
            return {}
        found: dict[str, LocalMatch] = {}
        for requirement in requirements:
            match = local_match(requirement.key, scanner)
            if match is not None:
                found[requirement.key] = match
        return found

    @cached_property
    def _transport(self) -> "Transport":
        from comfylock.keyrings import stored_key
        from comfylock.web.keys import HubKeys
        from comfylock.web.origins import host_of
        from comfylock.web.transport import Transport

        return Transport(
            keys=HubKeys(self.hub, stored_key),
            allowed_hosts=frozenset(
                host_of(url) for url in (self.hub.civitai_url, self.hub.huggingface_url)
            ),
            environment=self.environment,
            reporter=self.reporter,
            offline=self._wishes.offline,
        )

    @cached_property
    def catalog(self) -> "CivitaiClient":
        """Civitai, with the answers that were kept."""
        from comfylock.civitai.client import CivitaiClient

        return CivitaiClient(
            api=self._transport,
            cache=self._answers,
            base_url=self.hub.civitai_url,
            reporter=self.reporter,
        )

    @cached_property
    def repositories(self) -> "HuggingFaceClient":
        """Hugging Face, with the answers that were kept."""
        from comfylock.huggingface.client import HuggingFaceClient

        return HuggingFaceClient(
            api=self._transport,
            files=self,
            answers=self._answers,
            base_url=self.hub.huggingface_url,
            reporter=self.reporter,
        )

    @cached_property
    def _answers(self) -> "ResponseCache":
        from comfylock.civitai.cache import ResponseCache

        return ResponseCache(
            cache_dir(self.environment) / "api.sqlite",
            clock=time.time,
            reporter=self.reporter,
            reuse=self._wishes.reuse,
        )

    @cached_property
    def _fetcher(self) -> "Fetcher":
        from comfylock.web.fetch import Fetcher

        return Fetcher(
            self._transport,
            civitai_url=self.hub.civitai_url,
            huggingface_url=self.hub.huggingface_url,
            allowed_hosts=frozenset(self.user.allow_hosts),
        )

    def open(
        self,
        source: "Source",
        *,
        start: int,
        validator: str | None,
        stretch: "Stretch | None" = None,
    ) -> "AbstractContextManager[Body]":
        """Open the bytes of a source: the downloads' way out, built at the first of them."""
        with self._guard:
            return self._fetcher.open(source, start=start, validator=validator, stretch=stretch)

    # ------------------------------------------------------------------------- the disk

    @cached_property
    def hash_cache(self) -> HashCache:
        """What files were hashed to before; in the user's cache where models are read-only."""
        primary = self.directories.primary
        if os.access(primary, os.W_OK):
            return HashCache(primary / STATE_DIRECTORY / "hashes.jsonl", primary)
        label = blake2b(str(primary).encode(), digest_size=8).hexdigest()
        return HashCache(cache_dir(self.environment) / f"hashes-{label}.jsonl", primary)

    def _scanner(self) -> Scanner:
        return Scanner(self.directories, self.hash_cache, self.reporter, self._wishes.verify)

    def inventory(self, pins: Sequence[Pin]) -> Inventory:
        """Return what lies in the models folders, as far as these pins are concerned."""
        return self._scanner().inventory(pins)

    def destination(self, key: str) -> "Destination":
        """Return where a model's file goes."""
        from comfylock.disk.place import Destination

        folder, name = split_key(key)
        return Destination(self.directories.primary, self.directories.target(folder), name)

    def apply(self, plan: Plan) -> "tuple[Outcome, ...]":
        """Carry a plan out."""
        from comfylock.apply import Workplace, apply_plan
        from comfylock.disk.streams import Receiving, connections_of

        _ = self.hub  # what is wrong with its address is wrong with no single model
        connections = connections_of(self.settings)
        workplace = Workplace(
            destination=self.destination,
            cache=self.hash_cache,
            guard=threading.Lock(),
            receiving=Receiving(
                fetcher=self, reporter=self.reporter, stop=self.stop, connections=connections
            ),
            link_mode=self.settings.link_mode,
            roots=self.directories.roots,
        )
        return apply_plan(plan, workplace, self.settings.jobs)
