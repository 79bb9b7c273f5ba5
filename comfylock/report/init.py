"""The report of `init`: what was written, what was found, and what to do next."""

from comfylock.names import shown
from comfylock.operations.init import Act, Begun, File
from comfylock.places import PROJECT_FILE
from comfylock.report.page import Page
from comfylock.report.sentences import counted


def init_page(done: Begun, *, named: bool) -> Page:
    """Show the files, the models folder and the next command.

    Args:
        done: what was done.
        named: the user named workflows.
    """
    return Page(
        err=(
            *(_file_line(file) for file in done.files),
            *_unsaid(done, named=named),
            *_models_lines(done),
            _next_step(done),
        ),
        document={
            "files": [{"path": str(file.path), "act": str(file.act)} for file in done.files],
            "workflows": list(done.workflows),
            "models_dir": str(done.models_dir) if done.models_dir else None,
            "extra_paths": done.extra_paths,
            "summary": {"written": sum(file.act is not Act.LEFT for file in done.files)},
        },
    )


def _file_line(file: File) -> str:
    verbs = {
        Act.WRITTEN: "Wrote {}",
        Act.ADDED_TO: "Added a line for comfy.lock to {}",
        Act.LEFT: "{} is there already; it was left as it is",
    }
    return verbs[file.act].format(file.path.name)


def _unsaid(done: Begun, *, named: bool) -> list[str]:
    left = any(file.path.name == PROJECT_FILE and file.act is Act.LEFT for file in done.files)
    if not (left and named):
        return []
    return [f"warning: add {', '.join(map(shown, done.workflows))} to its workflows by hand"]


def _models_lines(done: Begun) -> list[str]:
    if done.models_dir is None:
        reason = done.unknown.message if done.unknown is not None else "no models folder is known"
        return [
            shown(f"{reason[0].upper()}{reason[1:]}"),
            "`comfylock lock` works without one; --models-dir or COMFYUI_PATH names it",
        ]
    more = f" and {counted(done.extra_paths, 'further path')}" if done.extra_paths else ""
    return [f"Found the models folder {shown(str(done.models_dir))}{more}"]


def _next_step(done: Begun) -> str:
    if done.workflows:
        return "Next: comfylock lock"
    return "Next: comfylock lock WORKFLOWS, with the files or folders that hold your workflows"
