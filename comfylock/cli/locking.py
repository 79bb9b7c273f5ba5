"""`lock`, `update` and `outdated`: what writes comfy.lock, and what it could be."""

import time

import click

from comfylock.cli.completing import complete_files, complete_refs
from comfylock.cli.options import (
    global_options,
    json_option,
    object_info_option,
    option,
    refresh_option,
)
from comfylock.cli.output import close_reporter, finish, open_session
from comfylock.cli.prompting import Questions, may_ask


@click.command()
@click.argument("paths", nargs=-1, shell_complete=complete_files)
@option("--check", is_flag=True, help="Write nothing; say whether comfy.lock is stale.")
@option("--dry-run", is_flag=True, help="Write nothing; show what would change.")
@option("-U", "--upgrade", is_flag=True, help="Take newer versions of the same models.")
@option(
    "-P",
    "--upgrade-model",
    multiple=True,
    metavar="REF[=VERSION]",
    shell_complete=complete_refs,
    help="Take a newer version of this model, or this one; ask again if unresolved; repeatable.",
)
@option("--rebuild", is_flag=True, help="Ignore the old comfy.lock and ask anew.")
@option("--inactive", is_flag=True, help="Also what is muted, bypassed or switched off.")
@option("--no-hash-local", is_flag=True, help="Do not look at files in the models folders.")
@refresh_option
@object_info_option
@json_option
@global_options(with_variables=False)
def lock(
    paths: tuple[str, ...],
    check: bool,
    dry_run: bool,
    upgrade: bool,
    upgrade_model: tuple[str, ...],
    rebuild: bool,
    inactive: bool,
    no_hash_local: bool,
    refresh: bool,
    object_info: str | None,
    as_json: bool,
) -> int:
    """Pin every model that workflows need, in comfy.lock.

    PATHS are workflow files, folders or globs; they are added to the lock's inputs. Without PATHS
    the recorded inputs are read again. A model that is pinned stays as it is, and one that was not
    found is asked for again by -P or --refresh only. Exit code 1: a model could not be pinned
    (the others are), or the lock is stale with --check.
    """
    from comfylock.hubs import Reuse
    from comfylock.operations.freshness import check_lock
    from comfylock.operations.lock import LockMode, OldLock, settle
    from comfylock.operations.lock import lock as lock_models
    from comfylock.operations.upgrade import EVERYTHING, parse_order
    from comfylock.report.lock import check_lock_page, lock_page
    from comfylock.settings import Choices

    began = time.monotonic()
    orders = EVERYTHING if upgrade else tuple(map(parse_order, upgrade_model))
    if sum((check, rebuild, bool(orders))) > 1 or (upgrade and upgrade_model):
        raise click.UsageError(
            "--check, --rebuild, --upgrade and --upgrade-model exclude each other"
        )
    choices = Choices(inactive=True if inactive else None)
    with open_session(
        choices=choices,
        hash_local=not no_hash_local,
        object_info=object_info,
        reuse=Reuse.MOMENT if rebuild or orders else Reuse.DAY,
        refresh=refresh and not check,
    ) as session:
        if check:
            page = check_lock_page(check_lock(session, paths))
        else:
            mode = LockMode.DRY_RUN if dry_run else LockMode.WRITE
            old = OldLock.IGNORE if rebuild else OldLock.KEEP
            done = lock_models(session, paths, mode, old, orders)
            if not dry_run and not done.nobody_answered and may_ask(as_json=as_json):
                close_reporter(session)
                done = settle(session, done, Questions())
            page = lock_page(
                done,
                formats=session.settings.formats,
                seconds=time.monotonic() - began,
                dry_run=dry_run,
            )
    return finish("lock", page, session, as_json=as_json)


@click.command(short_help="Take newer versions of the same models.")
@click.argument("refs", nargs=-1, shell_complete=complete_refs)
@option("--dry-run", is_flag=True, help="Write nothing; show what would change.")
@refresh_option
@json_option
@global_options(with_variables=False)
def update(refs: tuple[str, ...], dry_run: bool, refresh: bool, as_json: bool) -> int:
    """Take newer versions of the same models, for the same base models.

    REFS are keys, globs, or REF=VERSION; without them all that is locked is looked at. What is
    pinned in comfylock.toml, local or without a source on Civitai stays. Exit code 1: a REF means
    nothing, or what it means could not be updated.
    """
    from comfylock.hubs import Reuse
    from comfylock.operations.lock import LockMode, OldLock
    from comfylock.operations.lock import lock as lock_models
    from comfylock.operations.upgrade import EVERY_PIN, parse_order
    from comfylock.report.lock import update_page

    began = time.monotonic()
    orders = tuple(map(parse_order, refs)) or EVERY_PIN
    mode = LockMode.DRY_RUN if dry_run else LockMode.WRITE
    with open_session(reuse=Reuse.MOMENT, refresh=refresh) as session:
        done = lock_models(session, (), mode, OldLock.KEEP, orders)
        page = update_page(
            done,
            formats=session.settings.formats,
            seconds=time.monotonic() - began,
            dry_run=dry_run,
        )
    return finish("update", page, session, as_json=as_json)


@click.command(short_help="Show which models have a newer version.")
@option("--exit-code", is_flag=True, help="End with 1 when something is outdated.")
@refresh_option
@json_option
@global_options(with_variables=False)
def outdated(exit_code: bool, refresh: bool, as_json: bool) -> int:
    """Show which locked models have a newer version for the same base model."""
    from comfylock.hubs import Reuse
    from comfylock.operations.upgrade import outdated as find_outdated
    from comfylock.report.upgrade import outdated_page

    with open_session(reuse=Reuse.MOMENT, refresh=refresh) as session:
        page = outdated_page(find_outdated(session), exit_code=exit_code)
    return finish("outdated", page, session, as_json=as_json)
