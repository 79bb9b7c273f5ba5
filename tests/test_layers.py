"""The structure of the package: imports only go down, and foreign libraries stay in their rooms."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "comfylock"

#: From the top floor to the ground; a module imports from lower floors or its own folder only.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("report",),
    ("progress",),
    ("meters",),
    ("operations",),
    ("session",),
    ("apply", "localfiles", "locking", "upgrading"),
    ("reading", "resolve", "civitai", "huggingface", "disk"),
    ("pruning", "rungs", "lengths", "outcomes", "vanished"),
    ("plan", "aliases", "candidates", "exports", "relocking", "specs", "spelling", "web"),
    ("actions", "hindrances"),
    ("lockfile", "references", "known"),
    ("addresses", "inventory", "mentions", "objectinfo", "projectfile", "userfile"),
    ("places",),
    ("artifacts", "workflows", "folders", "config", "directories", "inputs", "keyrings"),
    ("hashes", "hubs", "settings"),
    ("git", "selecting", "toml", "unpinned"),
    ("names", "writing"),
    ("errors", "events", "interrupts", "matching", "workers"),
)
FLOOR_OF = {name: floor for floor, names in enumerate(reversed(FLOORS)) for name in names}

#: Which rooms may use which library; all others must not.
ROOMS_OF_LIBRARY = {
    "httpx": {"web"},
    "sqlite3": {"civitai", "disk"},
    "tomlkit": {"lockfile", "projectfile", "userfile"},
    "click": {"cli", "progress"},
    "rich": {"progress", "report"},
    "yaml": {"directories"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The file or folder directly below the package that a module lives in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every import of a module, also inside functions and behind TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "comfylock":
                yield from ((node.lineno, f"comfylock.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module


def ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", modules(), ids=ids)
def test_imports_only_go_down(path):
    """A module imports from lower floors, or from its own folder."""
    here = room(path)
    if here == "__init__":
        return
    upward = [
        f"{path.name}:{line} imports {name}"
        for line, name in imported(path)
        if name.startswith("comfylock.")
        and (there := name.split(".")[1]) not in {here, "__version__"}
        and FLOOR_OF[there] >= FLOOR_OF[here]
    ]
    assert not upward


@pytest.mark.parametrize("path", modules(), ids=ids)
def test_libraries_stay_in_their_rooms(path):
    """Foreign exceptions and types do not spread through the package."""
    strays = [
        f"{path.name}:{line} imports {name}"
        for line, name in imported(path)
        if (library := name.split(".")[0]) in ROOMS_OF_LIBRARY
        and room(path) not in ROOMS_OF_LIBRARY[library]
    ]
    assert not strays


def test_every_room_has_a_floor():
    """A new file or folder is given its place on purpose."""
    assert {room(path) for path in modules()} - {"__init__"} == set(FLOOR_OF)


def test_no_module_is_called_utils_helpers_or_manager():
    """Names say what a module is about."""
    assert not {path.stem for path in modules()} & {"utils", "helpers", "manager", "common", "misc"}


@pytest.mark.parametrize("path", modules(), ids=ids)
def test_no_module_is_longer_than_one_sitting(path):
    """A module is read in one sitting: 500 lines at most."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


def test_packages_hold_one_docstring_only():
    """Names are imported from the file in which they live."""
    for path in PACKAGE.rglob("*/__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert [type(node) for node in body] == [ast.Expr], path


def test_what_click_has_since_8_4_alone_is_not_needed_to_run():
    """Its types could not be subscripted before, and pyproject.toml allows older ones."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in (PACKAGE / "cli").glob("*.py")
        for node in _run(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).startswith("click.")
    ]
    assert found == []


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is run: not what stands under TYPE_CHECKING, nor annotations."""
    yield node
    body = (
        node.orelse
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        else (ast.iter_child_nodes(node))
    )
    for child in body:
        yield from _run(child)
