"""`fix-paths`: what changes workflow files."""

import os

import click

from comfylock.cli.completing import complete_files
from comfylock.cli.options import global_options, json_option, option
from comfylock.cli.output import finish, given, open_session


@click.command("fix-paths")
@click.argument("paths", nargs=-1, shell_complete=complete_files)
@option("--dry-run", is_flag=True, help="Write nothing; show what would change.")
@option("--check", is_flag=True, help="Write nothing; exit with 1 if something would change.")
@json_option
@global_options(with_variables=False)
def fix_paths(paths: tuple[str, ...], dry_run: bool, check: bool, as_json: bool) -> int:
    r"""Give the model names in workflows this system's separator.

    A workflow saved on Windows says `SDXL\ink.safetensors`, which ComfyUI refuses elsewhere.
    Only separators inside model names change: every other byte of the file stays. PATHS are
    .json files, folders or globs; without them, what comfy.lock was made from.
    """
    from comfylock.operations.fix_paths import FixMode
    from comfylock.operations.fix_paths import fix_paths as fix_workflows
    from comfylock.report.fix import fix_page
    from comfylock.spelling import Separator

    mode = FixMode.LOOK if dry_run or check else FixMode.WRITE
    with open_session() as session:
        done = fix_workflows(session, paths, Separator(os.sep), mode)
    page = fix_page(
        done,
        wrote=mode is FixMode.WRITE,
        check=check,
        verbose=given("verbose", default=False),
    )
    return finish("fix-paths", page, session, as_json=as_json)
