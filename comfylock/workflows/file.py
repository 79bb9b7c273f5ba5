"""One workflow file: bytes from disk -> `Workflow`, or why it is none.

`read_workflow` looks at what the file holds, not at its name. Graphs are found bare, wrapped in
`{"workflow": …}` or `{"prompt": …}`, in what the server answers under `/history`, in the extras of
a glTF scene, and as text in media files; where both are there the UI workflow counts, for it knows
modes and declarations.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from comfylock.errors import PathMissingError, WorkflowInvalidError
from comfylock.names import shown
from comfylock.workflows.api_json import is_api_workflow, parse_api_workflow
from comfylock.workflows.media.kinds import HEAD_BYTES, is_misnamed, kind_of
from comfylock.workflows.model import NotAWorkflow, Workflow
from comfylock.workflows.shapes import Json, JsonObject, as_list, as_object
from comfylock.workflows.ui_json import is_ui_workflow, parse_ui_workflow

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_NESTING = 1000
MAX_WRAPPINGS = 5
# Two hundred times what the largest of a thousand shared workflows holds. Without a bound, 36 MB
# of `[],[],` cost a gigabyte of memory and many seconds.
MAX_CONTAINERS = 1_000_000
MAX_VALUES = 4_000_000


def read_workflow(path: Path) -> Workflow | NotAWorkflow:
    """Read one workflow file.

    Returns:
        `NotAWorkflow` for readable JSON that holds no graph, and for media without one.

    Raises:
        PathMissingError: there is no such file.
        WorkflowInvalidError: the file cannot be read or understood; the message names it.
    """
    with faults_named(path):
        return _read(path)


@contextmanager
def faults_named(path: Path) -> Generator[None]:
    """Translate what goes wrong with a workflow into an error that names its file.

    Raises:
        WorkflowInvalidError: for another that names none, and for a lack of memory.
    """
    try:
        yield
    except MemoryError as error:
        raise WorkflowInvalidError(
            f"cannot read workflow {shown(str(path))}: it needs too much memory",
            ref=str(path),
        ) from error
    except WorkflowInvalidError as error:
        raise WorkflowInvalidError(
            f"cannot read workflow {shown(str(path))}: {error.message}",
            hint=error.hint,
            ref=str(path),
        ) from error


def _read(path: Path) -> Workflow | NotAWorkflow:
    try:
        with path.open("rb") as file:
            return _read_open(file, path.suffix.lower())
    except FileNotFoundError as error:
        raise PathMissingError(
            f"there is no file {shown(str(path))}", hint="Check the path", ref=str(path)
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise WorkflowInvalidError(reason, hint="Check that the file can be read") from error


def _read_open(file: BinaryIO, suffix: str) -> Workflow | NotAWorkflow:
    head = file.read(HEAD_BYTES)
    if kind_of(head) is not None:
        from comfylock.workflows.media.reading import workflow_in

        return workflow_in(file, _parse_text)
    if is_misnamed(suffix, head):
        raise WorkflowInvalidError(
            f"its first bytes are not those of a {suffix} file",
            hint="Copy or download the file again; if git keeps it with LFS, run `git lfs pull`",
        )
    return parse_workflow(_read_whole(file))


def _read_whole(file: BinaryIO) -> bytes:
    file.seek(0)
    data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise WorkflowInvalidError(f"it is larger than {MAX_FILE_BYTES // 1024**2} MiB")
    return data


def _parse_text(text: str) -> Workflow | NotAWorkflow:
    """Return the workflow in a text of a media file.

    Some programs write JSON as a string in JSON, and more than once.
    """
    document: Json = text
    for _ in range(MAX_WRAPPINGS):
        if isinstance(document, str):
            document = parse_json(document.encode("utf-8", "replace"))
    return parse_document(document)


def parse_workflow(data: bytes) -> Workflow | NotAWorkflow:
    """Return the workflow in a file's bytes; the first bytes tell the format, and the rest is JSON.

    Raises:
        WorkflowInvalidError: the bytes cannot be understood. The message names no file.
    """
    return parse_document(parse_json(data))


def parse_json(data: bytes) -> Json:
    """Return the JSON in a file's bytes.

    A byte order mark and the tokens NaN and Infinity are taken: Python's ComfyUI writes them.

    Raises:
        WorkflowInvalidError: it is not JSON, or nested too deeply. The message names no file.
    """
    try:
        text = data.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise WorkflowInvalidError(
            f"it is not UTF-8 text (byte {error.start})",
            hint="Save the workflow as JSON in ComfyUI, or name a picture or video that holds it",
        ) from error
    if text.lstrip()[:1] == "<":
        raise WorkflowInvalidError(
            "it is a web page, not JSON",
            hint="Download the file itself, not the page that shows it",
        )
    if text.count("[") + text.count("{") > MAX_CONTAINERS or text.count(",") > MAX_VALUES:
        raise WorkflowInvalidError("it holds many times more than any workflow does")
    try:
        document: Json = json.loads(text)
    except RecursionError as error:
        raise WorkflowInvalidError(f"it is nested deeper than {MAX_NESTING} levels") from error
    except MemoryError as error:
        raise WorkflowInvalidError("it needs too much memory") from error
    except ValueError as error:  # syntax errors, and numbers of thousands of digits
        raise WorkflowInvalidError(f"it is not valid JSON ({_complaint(text, error)})") from error
    if _is_too_deep(document):
        raise WorkflowInvalidError(f"it is nested deeper than {MAX_NESTING} levels")
    return document


def _complaint(text: str, error: ValueError) -> str:
    if not text.strip():
        return "the file is empty"
    if not isinstance(error, json.JSONDecodeError):  # Python's own words speak of its settings
        return "it holds a number of thousands of digits"
    return str(error)


def _is_too_deep(document: Json) -> bool:
    level: list[list[Json] | JsonObject] = []
    if isinstance(document, dict | list):
        level.append(document)
    for _ in range(MAX_NESTING):
        level = [  # `type is` and not `isinstance`: this line sees every value of every file
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def parse_document(document: Json) -> Workflow | NotAWorkflow:
    """Return the workflow in a JSON document, the UI form before the API form.

    Raises:
        WorkflowInvalidError: its subgraphs unfold without end. The message names no file.
    """
    candidates = list(_candidates(document))
    for candidate in candidates:
        if is_ui_workflow(candidate):
            return parse_ui_workflow(candidate)
    for candidate in candidates:
        if is_api_workflow(candidate):
            return parse_api_workflow(candidate)
    if not isinstance(document, dict):
        return NotAWorkflow(reason="its top level is not an object")
    return NotAWorkflow(reason="it has neither nodes with a type nor entries with a class_type")


def _candidates(document: Json) -> Iterator[JsonObject]:
    """Yield the objects that may be a graph: the document, and what known wrappers hold."""
    if not isinstance(document, dict):
        return
    yield document
    extras = as_object(as_object(document.get("asset")).get("extras"))  # of a glTF scene
    for holder in (document, extras):
        for name in ("workflow", "prompt", "output"):
            yield from _wrapped(holder.get(name))
    for entry in (document, *map(as_object, document.values())):
        yield from _history(entry)


def _wrapped(value: Json) -> Iterator[JsonObject]:
    """Yield a graph, which may be JSON text in JSON; a plain text such as a title is none."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            yield as_object(parse_json(value.encode("utf-8", "replace")))
        except WorkflowInvalidError:
            return


def _history(entry: JsonObject) -> Iterator[JsonObject]:
    """Yield the graphs in one entry of the server's history: (number, id, prompt, extra data)."""
    yield from _extra(as_object(entry.get("extra_data")))
    for part in as_list(entry.get("prompt")):
        if isinstance(part, dict):
            yield from _extra(part)
            yield part


def _extra(extra_data: JsonObject) -> Iterator[JsonObject]:
    yield from _wrapped(as_object(extra_data.get("extra_pnginfo")).get("workflow"))
