"""`init` and `doctor`: the first set-up, and what works here."""

import click

from comfylock.cli.completing import complete_files
from comfylock.cli.options import global_options, json_option, option
from comfylock.cli.output import finish, given, open_session, working_directory


@click.command(short_help="Set up a folder: comfylock.toml and .gitattributes.")
@option(
    "--workflows",
    multiple=True,
    metavar="PATH",
    shell_complete=complete_files,
    help="Files, folders or globs of workflows; repeatable.  [default: workflows, if it is there]",
)
@json_option
@global_options(with_variables=False)
def init(workflows: tuple[str, ...], as_json: bool) -> int:
    """Set up a folder: comfylock.toml, and a line for comfy.lock in .gitattributes.

    What is there already stays as it is.
    """
    from comfylock.operations.init import init as set_up
    from comfylock.report.init import init_page

    directory = working_directory()
    with open_session() as session:
        page = init_page(set_up(session, directory, workflows), named=bool(workflows))
    return finish("init", page, session, as_json=as_json)


@click.command(short_help="Say what works on this machine, and what does not.")
@option("--online", is_flag=True, help="Also ask the hubs: are the keys good, is the clock right?")
@json_option
@global_options(with_variables=False)
def doctor(online: bool, as_json: bool) -> int:
    """Say what works on this machine and what does not, each with its fix.

    Looks at folders, disks, settings, keys and workflows; changes nothing, and asks nobody
    without --online. Exit code 1: there is a problem.
    """
    from comfylock.operations.doctor import doctor as examine
    from comfylock.report.doctor import doctor_page

    with open_session() as session:
        asked = online and not given("offline", default=False)
        found = examine(session, online=asked, models_flag=bool(given("models_dir", default=())))
    page = doctor_page(found)
    return finish("doctor", page, session, as_json=as_json)
