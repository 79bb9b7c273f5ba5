"""Scenes and drawings: the JSON of a GLB, and of an SVG's metadata.

Sources: glTF 2.0 specification, 4.4 (GLB); ComfyUI v0.25.0, comfy_extras/nodes_save_3d.py (graphs
under `asset.extras`) and comfy_extras/nodes_images.py (SVG: one CDATA section).
"""

from comfylock.workflows.media.source import MAX_TEXT_BYTES, MediaFile, Texts, decoded

_MAX_METADATA = 1000


def glb_texts(file: MediaFile) -> Texts:
    """Yield the JSON of a GLB as a whole; the graphs are under its asset's extras."""
    head = file.peek(12, 8)
    if len(head) == 8 and head[4:] == b"JSON":
        text = file.read(20, int.from_bytes(head[:4], "little"))
        if b'"extras"' in text:
            yield "workflow", decoded(text)


def svg_texts(file: MediaFile) -> Texts:
    """Yield the CDATA of an SVG's metadata that is JSON, and holds both graphs."""
    data = file.read(0, min(file.size, MAX_TEXT_BYTES))
    at = 0
    for _ in range(_MAX_METADATA):
        at = data.find(b"<metadata", at)
        start = data.find(b"<![CDATA[", at)
        end = data.find(b"]]>", start)
        if min(at, start, end) < 0:
            return
        text = decoded(data[start + 9 : end]).strip()
        if text.startswith("{"):
            yield "workflow", text
        at = end
