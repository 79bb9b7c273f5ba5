"""`lock`: what writes comfy.lock."""

import click

from comfylock.cli.options import global_options, json_option, option
from comfylock.cli.output import finish, open_session


@click.command()
@click.argument("paths", nargs=-1)
@option("--check", is_flag=True, help="Write nothing; say whether comfy.lock is stale.")
@option("--dry-run", is_flag=True, help="Write nothing; show what would change.")
@option("--rebuild", is_flag=True, help="Ignore the old comfy.lock and ask anew.")
@option("--inactive", is_flag=True, help="Also what is muted, bypassed or switched off.")
@option("--no-hash-local", is_flag=True, help="Do not look at files in the models folders.")
@json_option
@global_options(with_variables=False)
def lock(
    paths: tuple[str, ...],
    check: bool,
    dry_run: bool,
    rebuild: bool,
    inactive: bool,
    no_hash_local: bool,
    as_json: bool,
) -> int:
    """Pin every model that workflows need, in comfy.lock.

    PATHS are workflow files, folders or globs; they are added to the lock's inputs. Without PATHS
    the recorded inputs are read again. A model that is pinned stays as it is. Exit code 1: a
    model could not be pinned (the others are), or the lock is stale with --check.
    """
    from comfylock.operations.freshness import check_lock
    from comfylock.operations.lock import LockMode, OldLock
    from comfylock.operations.lock import lock as lock_models
    from comfylock.report.lock import check_lock_page, lock_page
    from comfylock.settings import Choices

    choices = Choices(inactive=True if inactive else None)
    with open_session(choices=choices, hash_local=not no_hash_local) as session:
        if check:
            page = check_lock_page(check_lock(session, paths))
        else:
            mode = LockMode.DRY_RUN if dry_run else LockMode.WRITE
            old = OldLock.IGNORE if rebuild else OldLock.KEEP
            page = lock_page(lock_models(session, paths, mode, old), dry_run=dry_run)
    return finish("lock", page, session, as_json=as_json)
