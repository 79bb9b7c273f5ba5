"""`pin`, `unpin`, `ignore`: the user's word."""

import click

from comfylock.cli.completing import complete_files, complete_refs
from comfylock.cli.options import global_options, json_option, option, refresh_option
from comfylock.cli.output import finish, open_session


@click.command(short_help="Say which file a reference means.")
@click.argument("ref", shell_complete=complete_refs)
@click.argument("spec", shell_complete=complete_files)
@option("--sha256", metavar="HEX", help="The hash that goes with a plain https address.")
@refresh_option
@json_option
@global_options(with_variables=False)
def pin(ref: str, spec: str, sha256: str | None, refresh: bool, as_json: bool) -> int:
    """Say which file a reference means, in comfylock.toml, and lock it.

    REF is a key such as loras/ink.safetensors, or as much of its end as is needed. SPEC is
    civitai:VERSION[/FILE], an AIR, a Civitai or Hugging Face page or download address,
    hf:REPO@REV:PATH, an https address with --sha256, or the path of a file in a models folder
    that only you have. Exit code 1: one of them means nothing, or several; nothing is written.
    """
    from comfylock.operations.choose import pin as pin_reference
    from comfylock.report.choose import chosen_page

    with open_session(refresh=refresh) as session:
        page = chosen_page(pin_reference(session, ref, spec, sha256), session.settings.formats)
    return finish("pin", page, session, as_json=as_json)


@click.command(short_help="Take back what was said of a reference.")
@click.argument("ref", shell_complete=complete_refs)
@refresh_option
@json_option
@global_options(with_variables=False)
def unpin(ref: str, refresh: bool, as_json: bool) -> int:
    """Take back what comfylock.toml says of a reference, and lock it by evidence.

    REF may be a glob. Exit code 1: it is not pinned there, or nothing else pins it.
    """
    from comfylock.operations.choose import unpin as unpin_references
    from comfylock.report.choose import chosen_page

    with open_session(refresh=refresh) as session:
        page = chosen_page(unpin_references(session, ref), session.settings.formats)
    return finish("unpin", page, session, as_json=as_json)


@click.command()
@click.argument("ref", shell_complete=complete_refs)
@json_option
@global_options(with_variables=False)
def ignore(ref: str, as_json: bool) -> int:
    """Say in comfylock.toml that a reference is nobody's business.

    REF may be a glob, which then also counts for what comes later. Exit code 1: it means nothing.
    """
    from comfylock.operations.choose import ignore as ignore_references
    from comfylock.report.choose import chosen_page

    with open_session() as session:
        page = chosen_page(ignore_references(session, ref), session.settings.formats)
    return finish("ignore", page, session, as_json=as_json)
