"""`diff`, `report`, `export`: comfy.lock told to reviewers, to readers and to other tools."""

import os
from pathlib import Path

import click

from comfylock.cli.completing import complete_files
from comfylock.cli.options import global_options, json_option, option
from comfylock.cli.output import finish, open_session

_output_option = option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=complete_files,
    help="Write to FILE, not to stdout.",
)


@click.command(short_help="Show what differs between two locks.")
@click.argument("old", required=False, shell_complete=complete_files)
@click.argument("new", required=False, shell_complete=complete_files)
@option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    help="How to tell it; markdown is fit for a pull request.  [default: text]",
)
@option("--exit-code", is_flag=True, help="Exit with 1 if anything differs.")
@json_option
@global_options(with_variables=False)
def diff(old: str | None, new: str | None, form: str, exit_code: bool, as_json: bool) -> int:
    """Show what differs between two locks, in models, versions and sizes.

    OLD and NEW are files, folders, git revisions or REVISION:PATH. Without them, the last commit
    is compared with the lock as it is now. What a reviewer should look at is marked with !: other
    bytes under the same ids, new hosts, formats that may run code, guesses by file name.
    """
    from comfylock.operations.diff import diff as diff_locks
    from comfylock.report.diff import diff_page

    with open_session() as session:
        found = diff_locks(session, old, new, os.environ)
        page = diff_page(found, markdown=form == "markdown", exit_code=exit_code)
    return finish("diff", page, session, as_json=as_json or form == "json")


@click.command("merge-driver", hidden=True)
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("ours", type=click.Path(path_type=Path))
@click.argument("theirs", type=click.Path(path_type=Path))
@global_options(with_variables=False)
def merge_driver(base: Path, ours: Path, theirs: Path) -> int:
    """Merge comfy.lock for git, as its merge driver `comfylock merge-driver %O %A %B`.

    The file of OURS becomes the merge. Exit code 1: both sides pin a model differently; the
    conflict stands in the file.
    """
    from comfylock.operations.diff import merge_for_git
    from comfylock.report.diff import merge_page

    with open_session() as session:
        found = [session.path_of(str(path)).absolute() for path in (base, ours, theirs)]
        page = merge_page(merge_for_git(found[0], found[1], found[2], environment=os.environ))
    return finish("merge-driver", page, session, as_json=False)


@click.command(short_help="Write a page on workflows, models, sources and sizes.")
@option(
    "--format",
    "form",
    type=click.Choice(["markdown", "html", "json"]),
    help="What to write.  [default: by the name of FILE, else markdown]",
)
@_output_option
@json_option
@global_options(with_variables=False)
def report(form: str | None, output: str | None, as_json: bool) -> int:
    """Report on workflows and models: sources, sizes, evidence, what is missing.

    Makes no request. The web page is one file that loads nothing from anywhere.
    """
    from comfylock.operations.output import write_output
    from comfylock.operations.report import report as overview_of
    from comfylock.report.overview.page import report_page, report_text

    chosen = "json" if as_json and form is None else form or _form_of(output, _REPORTS, "markdown")
    with open_session() as session:
        overview = overview_of(session)
        text = report_text(overview, chosen)
        written = None if output is None else write_output(session, output, text)
        page = report_page(overview, text, written)
    return finish("report", page, session, as_json=as_json)


_REPORTS = {".html": "html", ".htm": "html", ".json": "json"}
_EXPORTS = {".csv": "csv", ".json": "cyclonedx", ".aria2": "aria2", ".txt": "aria2"}


def _form_of(output: str | None, forms: dict[str, str], otherwise: str) -> str:
    return forms.get(Path(output or "").suffix.lower(), otherwise)


@click.command()
@option(
    "--format",
    "form",
    type=click.Choice(["bash", "aria2", "csv", "cyclonedx"]),
    help="Whom it is for.  [default: by the name of FILE, else bash]",
)
@_output_option
@json_option
@global_options(with_variables=False)
def export(form: str | None, output: str | None, as_json: bool) -> int:
    """Tell comfy.lock to other tools.

    bash is a script that downloads, verifies and places the models, with keys from CIVITAI_TOKEN
    and HF_TOKEN; aria2 a list of downloads; csv a table; cyclonedx a bill of materials. Exit
    code 1: a model has no source; the others are exported all the same.
    """
    from comfylock.operations.export import ExportFormat
    from comfylock.operations.export import export as export_lock
    from comfylock.operations.output import write_output
    from comfylock.report.export import export_page

    chosen = ExportFormat(form or _form_of(output, _EXPORTS, "bash"))
    with open_session() as session:
        done = export_lock(session, chosen)
        written = None if output is None else write_output(session, output, done.text)
        page = export_page(done, written)
    return finish("export", page, session, as_json=as_json)
