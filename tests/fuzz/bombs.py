"""Files that cost little to write and much to read, read with 1 GiB of memory.

python -m tests.fuzz.bombs FOLDER
"""

import json
import resource
import sys
import time
from pathlib import Path

from comfylock.errors import ComfylockError
from comfylock.folders import load_node_table
from comfylock.operations.fix_paths import FixMode, fix_file
from comfylock.references import collect_references
from comfylock.spelling import Separator
from comfylock.workflows.file import read_workflow
from comfylock.workflows.model import NotAWorkflow
from tests.workflows import node, subgraph, ui

MEMORY_BYTES = 1024**3

_ONE = '{"nodes": [{"id": 1, "type": "VAELoader", "widgets_values": ["XL\\\\a.pt"%s]}]}'
_MIB = 1024 * 1024


def _nested_subgraphs(depth: int) -> str:
    """Definitions in which each holds two instances of the next: 2 ** depth nodes."""
    inner = [subgraph("D0", [node(1, "VAELoader", "XL\\a.pt")])]
    inner += [
        subgraph(f"D{n}", [node(1, f"D{n - 1}"), node(2, f"D{n - 1}")]) for n in range(1, depth)
    ]
    return json.dumps(ui(node(1, f"D{depth - 1}"), subgraphs=inner))


def write_bombs(folder: Path) -> None:
    """Write each bomb to a file named after it."""
    bombs = {
        "many-objects": _ONE % (',"x"' + ",{}" * (20 * _MIB)),
        "many-lists": "[" + "[]," * (12 * _MIB) + "[]]",
        "one-long-text": _ONE % (',"' + "a" * (8 * _MIB) + '"'),
        "long-name": _ONE % (',"' + "a\\\\" * _MIB + '.pt"'),
        "long-prompt": _ONE % (',"' + "embedding:a\\\\b, " * (_MIB // 32) + '"'),
        "many-backslashes": _ONE % (',"' + "\\\\" * (2 * _MIB) + '"'),
        "deep": "[" * 100_000 + "]" * 100_000,
        "deep-objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
        "long-number": _ONE % ("," + "9" * 5000),
        "longer-number": _ONE % ("," + "9" * _MIB),
        "not-a-number": _ONE % ",NaN,-Infinity,1e999",
        "repeated-keys": '{"nodes": [],' + '"a": 1,' * _MIB + '"links": [], "version": 1}',
        "byte-order-mark": "\ufeff" + _ONE % "",
        "lone-surrogate": _ONE % ',"\\ud800.pt"',
        "subgraphs": _nested_subgraphs(40),
        "many-nodes": json.dumps(ui(*(node(n, "VAELoader", "XL\\a.pt") for n in range(5_000)))),
        "wrapped": json.dumps({"workflow": json.dumps({"workflow": _ONE % ""})}),
    }
    for name, text in bombs.items():
        (folder / f"{name}.json").write_text(text, "utf-8")
    with (folder / "gigabyte.json").open("wb") as file:
        file.truncate(1024**3)


def main() -> None:
    """Read every file of a folder; print for each what came of it and how long it took."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    table = load_node_table()
    for path in sorted(Path(sys.argv[1]).iterdir()):
        began = time.process_time()
        try:
            workflow = read_workflow(path)
            if not isinstance(workflow, NotAWorkflow):
                collect_references(workflow, path.name, table)
            fix_file(path, Separator.SLASH, table, FixMode.LOOK)
            said = "read"
        except ComfylockError as error:
            said = error.slug
        print(f"{path.stem} {said} {time.process_time() - began:.2f}", flush=True)


if __name__ == "__main__":
    main()
