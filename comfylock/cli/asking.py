"""`scan`: questions that change nothing."""

import click

from comfylock.cli.options import global_options, json_option
from comfylock.cli.output import finish, given, open_session


@click.command()
@click.argument("paths", nargs=-1)
@json_option
@global_options(with_variables=False)
def scan(paths: tuple[str, ...], as_json: bool) -> int:
    """Show the references to models that workflows hold.

    PATHS are workflow files, folders or globs; without them, what comfy.lock was made from. Needs
    no lock, no models folder and no network.
    """
    from comfylock.operations.scan import scan as scan_workflows
    from comfylock.report.scan import scan_page

    with open_session() as session:
        page = scan_page(scan_workflows(session, paths), verbose=given("verbose", default=False))
    return finish("scan", page, session, as_json=as_json)
