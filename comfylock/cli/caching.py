"""`cache`: what comfylock keeps for itself."""

import click

from comfylock.cli.options import Commands, global_options, json_option, option
from comfylock.cli.output import finish, open_session

_dry_run = option("--dry-run", is_flag=True, help="Remove nothing; show what would go.")
_replaced = option(
    "--replaced", is_flag=True, help="Also files of yours that were moved aside for others."
)


@click.group(cls=Commands, short_help="See or remove what comfylock keeps for itself.")
@global_options(with_variables=False)
def cache() -> None:
    """See or remove what comfylock keeps: API answers, partial downloads, replaced files."""


@cache.command("dir", short_help="Print the folders.")
@json_option
@global_options(with_variables=False)
def cache_dir(as_json: bool) -> int:
    """Print the cache folder, and the folders that lie beside the models."""
    from comfylock.operations.cache import look
    from comfylock.report.cache import cache_dir_page

    with open_session() as session:
        page = cache_dir_page(look(session))
    return finish("cache dir", page, session, as_json=as_json)


@cache.command(short_help="Say what is kept, and how large it is.")
@json_option
@global_options(with_variables=False)
def info(as_json: bool) -> int:
    """Say what is kept, where, and how large it is."""
    from comfylock.operations.cache import look
    from comfylock.report.cache import cache_info_page

    with open_session() as session:
        page = cache_info_page(look(session))
    return finish("cache info", page, session, as_json=as_json)


@cache.command(short_help="Remove partial downloads that nobody goes on with.")
@_replaced
@_dry_run
@json_option
@global_options(with_variables=False)
def prune(replaced: bool, dry_run: bool, as_json: bool) -> int:
    """Remove partial downloads that nobody will go on with.

    That is what was untouched for 14 days, or whose model is in place by now. With --replaced
    also replaced files, 30 days after they were moved aside.
    """
    from comfylock.disk.kept import Kind
    from comfylock.operations.cache import prune as prune_kept
    from comfylock.report.cache import cleared_page

    kinds = {Kind.PARTIAL, Kind.REPLACED} if replaced else {Kind.PARTIAL}
    with open_session() as session:
        page = cleared_page(prune_kept(session, kinds, dry_run=dry_run), dry_run=dry_run)
    return finish("cache prune", page, session, as_json=as_json)


@cache.command(short_help="Remove the kept answers of the API.")
@option("--partial", is_flag=True, help="Also partial downloads.")
@_replaced
@_dry_run
@json_option
@global_options(with_variables=False)
def clear(partial: bool, replaced: bool, dry_run: bool, as_json: bool) -> int:
    """Remove the answers of the API that are kept; they are asked for again when needed."""
    from comfylock.disk.kept import Kind
    from comfylock.operations.cache import clear as clear_kept
    from comfylock.report.cache import cleared_page

    kinds = {Kind.ANSWERS}
    kinds |= {Kind.PARTIAL} if partial else set()
    kinds |= {Kind.REPLACED} if replaced else set()
    with open_session() as session:
        page = cleared_page(clear_kept(session, kinds, dry_run=dry_run), dry_run=dry_run)
    return finish("cache clear", page, session, as_json=as_json)
