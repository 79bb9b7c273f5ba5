"""A hub with one large file, and a world that installs it: what stops in the middle needs time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from comfylock.hashes import Digests
from comfylock.lockfile.model import Pin
from tests.standin.catalogue import Catalogue, file, model, version
from tests.standin.server import Standin
from tests.world import INK, World, pin_of, source_of

LARGE = 911


@dataclass(frozen=True)
class Large:
    """A world whose lock names one large file.

    Attributes:
        size: its bytes.
    """

    world: World
    hub: Standin
    pin: Pin
    size: int

    @property
    def spot(self) -> Path:
        return self.world.spot(self.pin.key)

    @property
    def is_partial(self) -> bool:
        """Whether something else than the whole file lies at the final path."""
        return self.spot.exists() and self.spot.stat().st_size != self.size

    @property
    def held(self) -> int:
        """How many bytes lie in parts, or at the final path; a run may be renaming one just now."""
        held = 0
        for part in self.world.parts():
            with suppress(FileNotFoundError):
                held += part.stat().st_size if part.suffix == ".part" else 0
        return self.size if self.spot.exists() else held

    @property
    def sent(self) -> int:
        """How many bytes the storage has sent since its log was cleared."""
        return sum(entry.bytes_sent for entry in self.world.downloads())

    def is_whole(self) -> bool:
        """Read the file and say whether it is the locked one."""
        return self.world.run("check", "--verify", "full").code == 0


@contextmanager
def large(root: Path, megabytes: int) -> Iterator[Large]:
    """Open a hub with a file of so many MiB, and a world below `root`."""
    size = megabytes << 20
    name = "large.safetensors"
    shelves = Catalogue.of(
        [model(9, "Large", "Checkpoint", versions=[
            version(91, "v1", files=[file(LARGE, name, size=size)])
        ])]
    )  # fmt: skip
    shelf = shelves.shelf(LARGE)
    digests = Digests(sha256=shelf.file.sha256, blake3=shelf.file.blake3)
    pin = replace(
        pin_of(INK),
        key=f"checkpoints/{name}",
        size=size,
        digests=digests,
        sources=(source_of(shelf),),
    )
    with Standin(shelves) as hub:
        world = World(root, hub)
        world.lock(pin)
        yield Large(world, hub, pin, size)
