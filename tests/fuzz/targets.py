"""What a fuzzer calls. A target takes bytes and returns; only `ComfylockError` may stop it."""

from collections.abc import Callable

from comfylock.errors import ComfylockError
from comfylock.folders import load_node_table
from comfylock.references import InactivePolicy, collect_references, group
from comfylock.spelling import Rewritten, Separator, rewrite_workflow
from comfylock.workflows.file import parse_workflow
from comfylock.workflows.model import Workflow

TABLE = load_node_table({"My.a": "loras", "My.0": "vae"})


def read(data: bytes) -> None:
    """The reader: bytes to a workflow."""
    try:
        parse_workflow(data)
    except ComfylockError as error:
        verify_message(error)


def refer(data: bytes) -> None:
    """The reader, the references, and the requirements that they come to."""
    try:
        workflow = parse_workflow(data)
    except ComfylockError:
        return
    if isinstance(workflow, Workflow):
        references = collect_references(workflow, "w.json", TABLE)
        for requirement in group(references, inactive=InactivePolicy.INCLUDE):
            requirement.key.encode()


def fix(data: bytes) -> None:
    """`fix-paths`, for both systems; what it writes must need no second time."""
    for separator in Separator:
        try:
            result = rewrite_workflow(data, separator, TABLE)
        except ComfylockError as error:
            verify_message(error)
            continue
        if isinstance(result, Rewritten) and result.data != data:
            again = rewrite_workflow(result.data, separator, TABLE)
            assert isinstance(again, Rewritten)
            assert again.data == result.data


def verify_message(error: ComfylockError) -> None:
    """Errors are printed: they must be text that can be encoded, and short."""
    assert len(f"{error.message}{error.hint}".encode()) < 2000


TARGETS: dict[str, Callable[[bytes], None]] = {"read": read, "refer": refer, "fix": fix}
