"""The pictures of sizes: a bar of all folders, and one for each model; drawn here, as SVG."""

from collections.abc import Mapping, Sequence

from comfylock.operations.report import FolderUse, Overview
from comfylock.progress import size_text
from comfylock.report.overview.markup import Html, breakable, element
from comfylock.report.overview.parts import Part, heads, part

_COLOURS = 7


def folders(overview: Overview) -> Part | None:
    """Return the disk use of each folder, as a picture and a table."""
    if not overview.folders:
        return None
    colours = colours_of(overview)
    head = [("folder", None), ("models", "number"), ("size", "number")]
    known = overview.standing is not None
    head += [("here", "number")] if known else []
    rows = [_folder_row(use, colours[use.folder]) for use in overview.folders]
    table = element(
        "table",
        element("caption", "Disk use by folder, as comfy.lock says; equal files count once."),
        element("thead", element("tr", *heads(head))),
        element("tbody", *rows),
    )
    return part("folders", "Where the bytes are", _stack(overview.folders, colours), table)


def colours_of(overview: Overview) -> Mapping[str, str]:
    """Return the class that colours each folder; small folders share the last."""
    return {
        use.folder: f"f{min(place, _COLOURS - 1)}" for place, use in enumerate(overview.folders)
    }


def _folder_row(use: FolderUse, colour: str) -> Html:
    swatch = element(
        "svg", element("rect", width=10, height=10, class_=colour), viewBox="0 0 10 10",
        class_="swatch", aria_hidden="true",
    )  # fmt: skip
    here = (
        []
        if use.bytes_here is None
        else [element("td", size_text(use.bytes_here), class_="number")]
    )
    return element(
        "tr",
        element("th", swatch, breakable(use.folder), scope="row", class_="swatched"),
        element("td", str(use.models), class_="number"),
        element("td", size_text(use.bytes_locked), class_="number"),
        *here,
    )


def _stack(uses: Sequence[FolderUse], colours: Mapping[str, str]) -> Html:
    """Return one bar, as long as all bytes, with a part for each folder."""
    total = sum(use.bytes_locked for use in uses)
    if total == 0:
        return Html()
    parts: list[Html] = []
    place = 0.0
    for use in uses:
        width = 1000 * use.bytes_locked / total
        label = f"{use.folder}: {size_text(use.bytes_locked)}"
        parts.append(
            element(
                "rect", x=_px(place), y=0, width=_px(max(width - 3, min(width, 1.5))), height=40,
                class_=colours[use.folder],
            )
        )  # fmt: skip
        parts[-1] = Html(parts[-1].removesuffix("/>") + f">{element('title', label)}</rect>")
        place += width
    told = "; ".join(f"{use.folder} {size_text(use.bytes_locked)}" for use in uses)
    return element(
        "svg", *parts, viewBox="0 0 1000 40", preserveAspectRatio="none", role="img",
        aria_label=f"Share of each folder: {told}", class_="stack",
    )  # fmt: skip


def _px(value: float) -> str:
    return f"{value:.2f}"


def bar(size: int, largest: int, colour: str) -> Html:
    """Return a bar as long as a model is large beside the largest."""
    width = 100 * size / largest if largest else 0
    return element(
        "svg",
        element("rect", width=100, height=8, class_="track"),
        element("rect", width=_px(max(width, 0.8)), height=8, class_=colour),
        viewBox="0 0 100 8", preserveAspectRatio="none", class_="bar", aria_hidden="true",
    )  # fmt: skip
