"""`check` and `verify`: questions whose answer is the exit code."""

import click

from comfylock.cli.options import global_options, json_option, option
from comfylock.cli.output import finish, open_session


@click.command(short_help="Say by the exit code whether all is as comfy.lock says.")
@option(
    "--verify",
    type=click.Choice(["stat", "full"]),
    default="stat",
    help="Trust what a file was hashed to before, or read all files again.",
)
@json_option
@global_options(with_variables=False)
def check(verify: str, as_json: bool) -> int:
    """Say by the exit code whether models, lock and workflows agree.

    Changes and downloads nothing. Exit code 1: a model is missing, wrong or blocked, a reference
    is not pinned, the lock is stale, or a workflow cannot be read.
    """
    return _checked("check", verify, as_json=as_json)


@click.command(short_help="The same, reading every model again.")
@json_option
@global_options(with_variables=False)
def verify(as_json: bool) -> int:
    """Read every model again and compare it with the lock: `check --verify full`."""
    return _checked("verify", "full", as_json=as_json)


def _checked(command: str, depth: str, *, as_json: bool) -> int:
    from comfylock.disk.scan import Verify
    from comfylock.operations.check import check as check_models
    from comfylock.report.check import check_page

    with open_session(verify=Verify(depth)) as session:
        page = check_page(check_models(session))
    return finish(command, page, session, as_json=as_json)
