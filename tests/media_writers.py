"""Writers of small media files: every container built from its parts, well-formed or not."""

import io
import json
import struct
import zipfile
import zlib

from tests.workflows import node, ui

WORKFLOW = json.dumps(ui(node(1, "VAELoader", "ui.pt")))
PROMPT = json.dumps({"1": {"class_type": "VAELoader", "inputs": {"vae_name": "api.pt"}}})
BOTH = {"prompt": PROMPT, "workflow": WORKFLOW}
PARAMETERS = "a cat <lora:paint:0.8>\nNegative prompt: dog\nSteps: 20, Model: toon"


# --- PNG -------------------------------------------------------------------------------------

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data, length=None):
    """A chunk with a right checksum; `length` tells a lie."""
    size = len(data) if length is None else length
    return struct.pack(">I", size) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def text_chunk(name, text):
    return chunk(b"tEXt", name.encode() + b"\0" + text.encode())


def ztxt_chunk(name, text):
    return chunk(b"zTXt", name.encode() + b"\0\0" + zlib.compress(text.encode()))


def itxt_chunk(name, text, compressed=False):
    body = zlib.compress(text.encode()) if compressed else text.encode()
    return chunk(b"iTXt", name.encode() + bytes((0, compressed, 0)) + b"en\0titre\0" + body)


def comf_chunk(name, text):
    return chunk(b"comf", name.encode() + b"\0" + text.encode())


IHDR = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
IDAT = chunk(b"IDAT", zlib.compress(b"\0\0"))
IEND = chunk(b"IEND", b"")


def png(*before, after=(), header=IHDR):
    return b"".join([PNG_SIGNATURE, header, *before, IDAT, *after, IEND])


# --- EXIF, WebP, JPEG, AVIF ------------------------------------------------------------------


def exif(tags, *, order="<", comment=None, comment_type=7):
    """A TIFF block: ASCII tags in the first directory, a user comment in the second."""
    entries = sorted((tag, 2, text.encode() + b"\0") for tag, text in tags.items())
    blob = bytearray()
    count = len(entries) + (comment is not None)
    base = 8 + 2 + 12 * count + 4
    rows = []
    for tag, kind, value in entries:
        if len(value) <= 4:
            place = value.ljust(4, b"\0")
        else:
            place = struct.pack(f"{order}I", base + len(blob))
            blob += value + bytes(len(value) % 2)
        rows.append(struct.pack(f"{order}HHI", tag, kind, len(value)) + place)
    if comment is not None:
        second = base + len(blob)
        rows.append(struct.pack(f"{order}HHII", 0x8769, 4, 1, second))
        at = second + 2 + 12 + 4
        blob += (
            struct.pack(f"{order}HHHIII", 1, 0x9286, comment_type, len(comment), at, 0) + comment
        )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}IH", 8, count)
    return head + b"".join(rows) + bytes(4) + bytes(blob)


def riff_chunk(kind, data, length=None):
    size = len(data) if length is None else length
    return kind + struct.pack("<I", size) + data + bytes(len(data) % 2)


def webp(*chunks):
    body = b"WEBP" + riff_chunk(b"VP8X", bytes(10)) + riff_chunk(b"VP8L", b"\x2f" + bytes(4))
    body += b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(*segments):
    """Segments are (marker, bytes)."""
    body = b"".join(
        bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data for marker, data in segments
    )
    return b"\xff\xd8" + body + b"\xff\xda\x00\x02picture\xff\xd9"


def avif(block):
    def full(kind, data, version=0):
        return box(kind, bytes((version, 0, 0, 0)) + data)

    item = full(b"infe", struct.pack(">HH4s", 2, 0, b"Exif") + b"\0", version=2)
    other = full(b"infe", struct.pack(">HH4s", 1, 0, b"av01") + b"\0", version=2)
    data = bytes(4) + block

    def meta(start):
        iloc = struct.pack(">HH", 0x4400, 1) + struct.pack(">HHHII", 2, 0, 1, start, len(data))
        return full(
            b"meta", full(b"iinf", struct.pack(">H", 2) + other + item) + full(b"iloc", iloc)
        )

    front = box(b"ftyp", b"avif\0\0\0\0avifmif1")
    start = len(front) + len(meta(0)) + 8
    return front + meta(start) + box(b"mdat", data)


# --- MP4 and MOV -----------------------------------------------------------------------------


def box(kind, data, size=None):
    return struct.pack(">I", len(data) + 8 if size is None else size) + kind + data


def big_box(kind, data):
    return struct.pack(">I4sQ", 1, kind, len(data) + 16) + data


def data_box(text):
    return box(b"data", struct.pack(">II", 1, 0) + text.encode())


def handler(kind):
    return box(b"hdlr", bytes(8) + kind + bytes(13))


def keyed(texts, version=bytes(4)):
    """The `meta` box that FFmpeg's use_metadata_tags makes."""
    keys = b"".join(box(b"mdta", name.encode()) for name in texts)
    items = b"".join(
        box(struct.pack(">I", number), data_box(text))
        for number, text in enumerate(texts.values(), start=1)
    )
    return box(
        b"meta",
        version
        + handler(b"mdta")
        + box(b"keys", struct.pack(">II", 0, len(texts)) + keys)
        + box(b"ilst", items),
    )


def listed(*items):
    """The `meta` box of iTunes: items are bytes."""
    return box(b"meta", bytes(4) + handler(b"mdir") + box(b"ilst", b"".join(items)))


def mp4(*udta, front=b"", brand=b"isom"):
    moov = box(b"moov", box(b"mvhd", bytes(100)) + box(b"udta", b"".join(udta)))
    return box(b"ftyp", brand + bytes(4)) + front + box(b"mdat", b"frames") + moov


# --- Matroska --------------------------------------------------------------------------------


def element(number, data, size=None):
    """An EBML element; `size` None is the true one, -1 unknown."""
    width = (number.bit_length() + 7) // 8
    if size == -1:
        length = b"\x01" + b"\xff" * 7
    else:
        length = struct.pack(">Q", (1 << 56) | (len(data) if size is None else size))
    return number.to_bytes(width, "big") + length + data


def simple_tag(name, text):
    return element(0x67C8, element(0x45A3, name.encode()) + element(0x4487, text.encode()))


def webm(texts, *, before=b"", size=None):
    tags = element(0x1254C367, element(0x7373, b"".join(simple_tag(*pair) for pair in texts)))
    return element(0x1A45DFA3, element(0x4282, b"webm")) + element(
        0x18538067, before + tags, size=size
    )


# --- Sound -----------------------------------------------------------------------------------


def comments(texts, vendor="x"):
    """Vorbis comments."""
    lines = [f"{name}={text}".encode() for name, text in texts.items()]
    head = struct.pack("<I", len(vendor)) + vendor.encode() + struct.pack("<I", len(lines))
    return head + b"".join(struct.pack("<I", len(line)) + line for line in lines)


def flac(texts, *, before=()):
    blocks = [(0, bytes(34)), *before, (4, comments(texts))]
    out = b"fLaC"
    for number, (kind, data) in enumerate(blocks, start=1):
        last = 0x80 if number == len(blocks) else 0
        out += bytes((kind | last,)) + len(data).to_bytes(3, "big") + data
    return out


def ogg_page(packets, *, serial=7, granule=0, flags=0, goes_on=False):
    """A page of whole packets; with `goes_on` the last one ends on a later page."""
    sizes = b""
    for number, packet in enumerate(packets, start=1):
        sizes += b"\xff" * (len(packet) // 255)
        if not (goes_on and number == len(packets)):
            sizes += bytes((len(packet) % 255,))
    assert len(sizes) <= 255
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, 0, 0, len(sizes))
    return head + sizes + b"".join(packets)


def opus(texts):
    tags = b"OpusTags" + comments(texts)
    sound = ogg_page([b"sound"], granule=960)
    return ogg_page([b"OpusHead" + bytes(11)], flags=2) + ogg_pages(tags) + sound


def ogg_pages(packet, serial=7):
    """One packet over as many pages as it needs."""
    most = 255 * 255
    pages = b""
    while len(packet) >= most:
        pages += ogg_page([packet[:most]], serial=serial, granule=-1, goes_on=True)
        packet = packet[most:]
    return pages + ogg_page([packet], serial=serial)


def synchsafe(number):
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def txxx(name, text, *, version=4, code=3, kind=b"TXXX"):
    codec = ("latin-1", "utf-16", "utf-16-be", "utf-8")[code]
    end = b"\0\0" if code in {1, 2} else b"\0"
    language = b"eng" if kind[:3] == b"COM" else b""
    body = bytes((code,)) + language + name.encode(codec) + end + text.encode(codec)
    if version == 2:
        return kind[:3] + len(body).to_bytes(3, "big") + body
    size = synchsafe(len(body)) if version == 4 else struct.pack(">I", len(body))
    return kind + size + bytes(2) + body


def mp3(*frames, version=4, flags=0, padding=20):
    body = b"".join(frames) + bytes(padding)
    return b"ID3" + bytes((version, 0, flags)) + synchsafe(len(body)) + body + b"\xff\xfbsound"


# --- Scenes and archives ---------------------------------------------------------------------


def glb(document):
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = (
        struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", 4, b"BIN\0") + b"mesh"
    )
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def svg(metadata):
    return (
        '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">'
        f"<metadata>\n{metadata}\n</metadata><path/></svg>"
    ).encode()


def nameless_archive():
    """A ZIP whose one member has an empty name, which `zipfile` itself would not write."""
    data = b"x"
    facts = (zlib.crc32(data), len(data), len(data), 0)
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, *facts, 0) + data
    listed = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, *facts, 0, 0, 0, 0, 0, 0)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(listed), len(local), 0)
    return local + listed + end


def archive(members, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return file.getvalue()


def encrypted(data):
    """The same archive with the flag of encryption on all members."""
    out = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = out.find(mark)
        while at >= 0:
            out[at + offset] |= 1
            at = out.find(mark, at + 4)
    return bytes(out)
