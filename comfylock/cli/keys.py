"""`auth`: keys from a prompt or stdin, never from the command line."""

import sys
from typing import TYPE_CHECKING

import click

from comfylock.cli.completing import complete_sites
from comfylock.cli.options import Commands, global_options, json_option
from comfylock.cli.output import finish, given, open_session
from comfylock.errors import UsageError

if TYPE_CHECKING:
    from comfylock.hubs import Secret, Site
    from comfylock.operations.auth import Desk
    from comfylock.session import Session

_MOST_CHARACTERS = 8192


@click.group(cls=Commands, short_help="Keep your keys for Civitai and Hugging Face.")
@global_options(with_variables=False)
def auth() -> None:
    """Keep your keys for Civitai and Hugging Face, or see which ones count.

    CIVITAI_TOKEN and HF_TOKEN win over a key that is kept. A kept key lies in the system's keyring
    if the package keyring is installed and works, else in your own config.toml, which only you
    can read.
    """


# The words are taken as they come: click would repeat a key in its message about a wrong word.
_sites = click.argument(
    "words", nargs=-1, metavar="[civitai|huggingface] [-]", shell_complete=complete_sites
)
_site = click.argument(
    "words", nargs=-1, metavar="[civitai|huggingface]", shell_complete=complete_sites
)


@auth.command()
@_sites
@json_option
@global_options(with_variables=False)
def login(words: tuple[str, ...], as_json: bool) -> int:
    """Keep a key, after asking its site whose it is.

    The key is asked for without showing it, or read from standard input if that is no terminal or
    `-` is given. It is for Civitai unless you say huggingface. With --offline nobody is asked.
    """
    from comfylock.hubs import KEY_PAGES, Site
    from comfylock.operations.auth import login as sign_in
    from comfylock.report.auth import TITLES, login_page

    *named, last = words or ("",)
    sites = _parsed(tuple(named) if last == "-" else words)
    if len(sites) > 1:
        raise UsageError("a key is for one site", hint="Run `comfylock auth login` for each")
    site = sites[0] if sites else Site.CIVITAI
    key = _read_key(TITLES[site], KEY_PAGES[site], piped=last == "-" or not sys.stdin.isatty())
    with open_session() as session:
        page = login_page(sign_in(_desk(session), site, key))
    return finish("auth login", page, session, as_json=as_json)


@auth.command()
@_site
@json_option
@global_options(with_variables=False)
def logout(words: tuple[str, ...], as_json: bool) -> int:
    """Remove the keys that are kept, of both sites unless one is named."""
    from comfylock.hubs import Site
    from comfylock.operations.auth import logout as sign_out
    from comfylock.report.auth import logout_page

    sites = _parsed(words) or tuple(Site)
    with open_session() as session:
        desk = _desk(session)
        page = logout_page([sign_out(desk, site) for site in sites])
    return finish("auth logout", page, session, as_json=as_json)


@auth.command()
@_site
@json_option
@global_options(with_variables=False)
def status(words: tuple[str, ...], as_json: bool) -> int:
    """Say which key counts for each site; the key itself is never shown.

    Asks nobody: `comfylock doctor --online` checks the keys.
    """
    from comfylock.hubs import Site
    from comfylock.operations.auth import held
    from comfylock.report.auth import auth_status_page

    sites = _parsed(words) or tuple(Site)
    with open_session() as session:
        desk = _desk(session)
        page = auth_status_page([held(desk, site) for site in sites])
    return finish("auth status", page, session, as_json=as_json)


def _parsed(words: tuple[str, ...]) -> "tuple[Site, ...]":
    """Return the sites that are named; a word that is none is not repeated: it may be a key."""
    from comfylock.hubs import Site

    if any(word not in set(Site) for word in words):
        raise UsageError(
            f"only {' or '.join(Site)} can be named here; a key never goes on the command line,"
            " where other programs and the shell's history see it",
            hint="Run `comfylock auth login` and type it, or pipe it in",
        )
    return tuple(Site(word) for word in dict.fromkeys(words))


def _read_key(title: str, page: str, *, piped: bool) -> "Secret":
    from comfylock.hubs import Secret

    if piped:
        text = sys.stdin.readline(_MOST_CHARACTERS)
    else:
        click.echo(f"A key for {title} is made at {page}", err=True)
        prompt = f"Key for {title} (not shown)"
        text = str(click.prompt(prompt, hide_input=True, err=True, default="", show_default=False))
    return Secret(text, name="the key")


def _desk(session: "Session") -> "Desk":
    from comfylock.operations.auth import Desk

    return Desk(
        environment=session.environment,
        reporter=session.reporter,
        offline=given("offline", default=False),
    )
