"""`scan`, `search`, `why`, `tree`: questions that change nothing."""

import click

from comfylock.cli.completing import complete_files, complete_refs, complete_workflows
from comfylock.cli.options import (
    global_options,
    json_option,
    object_info_option,
    option,
    refresh_option,
)
from comfylock.cli.output import finish, open_session


@click.command()
@click.argument("paths", nargs=-1, shell_complete=complete_files)
@object_info_option
@json_option
@global_options(with_variables=False)
def scan(paths: tuple[str, ...], object_info: str | None, as_json: bool) -> int:
    """Show the references to models that workflows hold.

    PATHS are workflow files, folders or globs; without them, what comfy.lock was made from. Needs
    no lock, no models folder and no network.
    """
    from comfylock.operations.scan import scan as scan_workflows
    from comfylock.report.scan import scan_page

    with open_session(object_info=object_info) as session:
        page = scan_page(scan_workflows(session, paths))
    return finish("scan", page, session, as_json=as_json)


@click.command(short_help="Look for files on Civitai.")
@click.argument("text", nargs=-1, required=True)
@option("--type", "types", multiple=True, metavar="TYPE", help="Only LORA, Checkpoint, …")
@option(
    "--limit", type=click.IntRange(1, 1000), default=20, help="The most to show.  [default: 20]"
)
@refresh_option
@json_option
@global_options(with_variables=False)
def search(
    text: tuple[str, ...], types: tuple[str, ...], limit: int, refresh: bool, as_json: bool
) -> int:
    """Look for files on Civitai: by name, hash of any kind, address, AIR, or words.

    Several words need no quotes.

    Each line begins with what `comfylock pin` takes. Exit code 1: nothing is found.
    """
    from comfylock.operations.search import search as search_hub
    from comfylock.report.search import search_page

    with open_session(refresh=refresh) as session:
        page = search_page(search_hub(session, " ".join(text), types, limit))
    return finish("search", page, session, as_json=as_json)


@click.command(short_help="Show who needs a model, and what its pin rests on.")
@click.argument("ref", shell_complete=complete_refs)
@refresh_option
@json_option
@global_options(with_variables=False)
def why(ref: str, refresh: bool, as_json: bool) -> int:
    """Show who needs a model, how it was pinned, and what every kind of evidence says now.

    Asks the hubs only what was never asked before, unless told to --refresh. Exit code 1: REF is
    not known.
    """
    from comfylock.hubs import Reuse
    from comfylock.operations.explain import why as explain
    from comfylock.report.explain import why_page

    with open_session(reuse=Reuse.ALWAYS, refresh=refresh) as session:
        page = why_page(explain(session, ref))
    return finish("why", page, session, as_json=as_json)


@click.command(short_help="Show what each workflow needs.")
@click.argument("workflow", required=False, shell_complete=complete_workflows)
@json_option
@global_options(with_variables=False)
def tree(workflow: str | None, as_json: bool) -> int:
    """Show what each workflow needs, by comfy.lock: size, evidence, source.

    Exit code 1: WORKFLOW is not known.
    """
    from comfylock.operations.explain import tree as lock_tree
    from comfylock.report.explain import tree_page

    with open_session() as session:
        page = tree_page(lock_tree(session, workflow))
    return finish("tree", page, session, as_json=as_json)
