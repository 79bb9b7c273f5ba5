"""Media files made to break readers: bounded in time and memory, and only one kind of error."""

import io
import json
import random
import struct
import subprocess
import sys
import time
import zipfile
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from comfylock.errors import WorkflowInvalidError
from comfylock.workflows.media.embedded import Embedded, embedded
from comfylock.workflows.media.source import MAX_TEXT_BYTES
from tests.media_writers import (
    IDAT,
    IEND,
    IHDR,
    PNG_SIGNATURE,
    PROMPT,
    WORKFLOW,
    archive,
    avif,
    box,
    chunk,
    comments,
    element,
    exif,
    flac,
    glb,
    itxt_chunk,
    jpeg,
    keyed,
    mp3,
    mp4,
    nameless_archive,
    ogg_page,
    opus,
    png,
    riff_chunk,
    svg,
    text_chunk,
    txxx,
    webm,
    webp,
    ztxt_chunk,
)
from tests.test_media_containers import FILES

SECONDS = 2.0
BILLION = 10**9

GOOD = text_chunk("workflow", WORKFLOW)
LIAR = chunk(b"tEXt", b"workflow\0{", length=BILLION)
BOMB = zlib.compress(bytes(MAX_TEXT_BYTES + 1), 9)
HUGE_ZTXT = chunk(b"zTXt", b"workflow\0\0" + BOMB)
HUGE_ITXT = chunk(b"iTXt", b"workflow\0\1\0\0\0" + BOMB)


def found(data):
    """What a file holds, or the complaint; anything else is a failure."""
    start = time.process_time()
    result: Embedded | str | None
    try:
        result = embedded(io.BytesIO(data))
    except WorkflowInvalidError as error:
        result = error.message if error.hint else None
    assert time.process_time() - start < SECONDS
    return result


def sixty_four_mib_of(part):
    return part * (MAX_TEXT_BYTES // len(part))


HOSTILE_PNGS = {
    "a bomb in zTXt": (png(HUGE_ZTXT), "more than 64 MiB"),
    "a bomb in iTXt": (png(HUGE_ITXT), "more than 64 MiB"),
    "a bomb in a profile": (png(chunk(b"iCCP", b"x\0\0" + BOMB), GOOD), WORKFLOW),
    "a bomb under another name": (png(chunk(b"zTXt", b"x\0\0" + BOMB), GOOD), WORKFLOW),
    "many half-sized bombs": (
        png(*[chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b" " * (MAX_TEXT_BYTES // 2)))] * 4),
        None,
    ),
    "a huge canvas": (
        png(GOOD, header=chunk(b"IHDR", struct.pack(">IIBBBBB", 65500, 65500, 16, 6, 0, 0, 0))),
        WORKFLOW,
    ),
    "a million chunks": (PNG_SIGNATURE + IHDR + chunk(b"junk", b"") * 10**6, "parts"),
    "text behind the pixels": (png(after=[GOOD]), WORKFLOW),
    "text behind the end": (png() + GOOD, None),
    "a length beyond the file": (png(LIAR), "ends in the middle"),
    "a length of four GiB": (png(chunk(b"tEXt", b"prompt\0", length=2**32 - 1)), "ends in the"),
    "a wrong checksum": (png(GOOD[:-4] + bytes(4)), WORKFLOW),
    "no end": (PNG_SIGNATURE + IHDR + GOOD, WORKFLOW),
    "a name without end": (png(chunk(b"tEXt", b"w" * 10**6)), None),
    "broken compression": (png(chunk(b"zTXt", b"prompt\0\0nonsense")), "damaged"),
    "compression cut off": (png(ztxt_chunk("prompt", PROMPT)[:40] + bytes(4)), None),
    "an empty text": (png(chunk(b"tEXt", b"workflow")), None),
    "nothing but a signature": (PNG_SIGNATURE, None),
    "damage behind the graph": (PNG_SIGNATURE + IHDR + GOOD + LIAR, WORKFLOW),
}


@pytest.mark.parametrize(("data", "expected"), HOSTILE_PNGS.values(), ids=HOSTILE_PNGS)
def test_a_hostile_png_is_read_or_refused(data, expected):
    """What stands before the damage counts; the rest is refused in one sentence."""
    result = found(data)
    if isinstance(result, Embedded):
        assert result.workflow == expected
    elif expected is not None:
        assert expected in result


def test_a_compressed_workflow_of_some_mib_is_taken():
    """Real ones exist that image libraries refuse."""
    text = json.dumps({"nodes": ["x" * 1000] * 5000})
    result = found(png(itxt_chunk("workflow", text, compressed=True)))
    assert isinstance(result, Embedded)
    assert result.workflow == text


def ring(order="<"):
    """EXIF whose second directory is its first, with as many entries as fit."""
    rows = struct.pack("<HHII", 0x8769, 4, 1, 8) * 5000
    return b"II*\0" + struct.pack("<IH", 8, 5000) + rows + bytes(4)


def shared_text():
    """EXIF with thousands of entries that all are the same megabyte."""
    text = b"workflow:" + b"x" * 10**6
    count = 5000
    row = struct.pack("<HHII", 0x010F, 2, len(text), 10 + 12 * count)
    return b"II*\0" + struct.pack("<IH", 8, count) + row * count + text


HOSTILE = {
    "webp: a length beyond the file": webp(riff_chunk(b"EXIF", b"II", length=BILLION)),
    "webp: empty chunks": webp(riff_chunk(b"junk", b"") * 10**6),
    "webp: directories in a ring": webp(riff_chunk(b"EXIF", ring())),
    "webp: one text a thousand times": webp(riff_chunk(b"EXIF", shared_text())),
    "webp: values outside": webp(
        riff_chunk(b"EXIF", b"MM\0*" + struct.pack(">IHHHII", 8, 65535, 0x10F, 2, BILLION, BILLION))
    ),
    "jpeg: padding": b"\xff\xd8" + b"\xff" * 10**6,
    "jpeg: segments of no length": b"\xff\xd8\xff\xe1\0\0" * 10**5,
    "jpeg: many comments": jpeg((0xFE, b"{}" * 1000)) * 10,
    "mp4: boxes of no size": box(b"ftyp", b"isom") + box(b"udta", b"", size=4) * 10**5,
    "mp4: a box to the end": box(b"ftyp", b"isom")
    + box(b"moov", box(b"udta", b"", size=0), size=0),
    "mp4: a huge box": box(b"ftyp", b"isom") + box(b"udta", b"", size=BILLION),
    "mp4: a huge large box": box(b"ftyp", b"isom")
    + struct.pack(">I4sQ", 1, b"meta", 2**63)
    + b"x" * 100,
    "mp4: a million boxes": box(b"ftyp", b"isom") + box(b"free", b"") * 10**6,
    "mp4: a million boxes inside": mp4(box(b"free", b"") * 10**6),
    "mp4: a million keys": mp4(
        box(b"meta", bytes(4) + box(b"keys", bytes(8) + box(b"mdta", b"") * 10**6))
    ),
    "mp4: a million items": mp4(
        box(b"meta", bytes(4) + box(b"ilst", box(b"\0\0\0\1", b"") * 10**6))
    ),
    "avif: items without end": box(b"ftyp", b"avif")
    + box(
        b"meta", bytes(4) + box(b"iinf", b"\1\0\0\0" + b"\xff" * 400) + box(b"iloc", b"\xff" * 900)
    ),
    "avif: a text beyond the file": avif(b"")[:-4],
    "webm: nothing but ones": b"\x1aE\xdf\xa3" + b"\xff" * 10**6,
    "webm: elements of no size": webm([], before=b"\xec\x80" * 10**6),
    "webm: tags of no size": webm([("x", "")] * 50_000),
    "webm: a huge element": webm([], before=element(0x1254C367, b"", size=BILLION)),
    "webm: tags of unknown size": webm([], before=element(0x1254C367, b"", size=-1)),
    "flac: a million comments": flac({f"k{n}": "" for n in range(200_000)}),
    "flac: a huge comment": flac({"workflow": "{"})[:-10] + struct.pack("<I", BILLION),
    "flac: blocks of no length": b"fLaC" + b"\1\0\0\0" * 10**6,
    "ogg: empty pages": ogg_page([]) * 10**6,
    "ogg: one packet without end": ogg_page([b"\x03vorbis" + bytes(65018)], goes_on=True) * 1100,
    "ogg: a thousand streams": b"".join(ogg_page([b"x"], serial=n) for n in range(10**4)),
    "ogg: cut off": opus({"workflow": WORKFLOW})[:100],
    "mp3: a million frames": mp3(b"TXXX\0\0\0\0\0\0" * 10**6),
    "mp3: a huge frame": mp3(b"TXXX\x7f\x7f\x7f\x7f\0\0"),
    "mp3: a huge tag": b"ID3\4\0\0\x7f\x7f\x7f\x7f",
    "mp3: UTF-16 without end": mp3(b"TXXX" + b"\0\x10\0\0\0\0" + b"\1" + b"\1\0\0" * 5000),
    "mp3: a strange version": b"ID3\xff\xff\xff\0\0\1\0" + bytes(200),
    "glb: a huge chunk": b"glTF\2\0\0\0\xff\xff\xff\xff" + struct.pack("<I4s", BILLION, b"JSON"),
    "svg: metadata without end": b"<svg>" + b"<metadata>" * 10**6,
    "svg: many empty metadata": b"<svg>" + b"<metadata><![CDATA[]]></metadata>" * 10**5,
    "zip: cut off": archive({"a.json": WORKFLOW})[:-10],
    "zip: only a start": b"PK\3\4" + bytes(100),
    "zip: a bomb": archive({"a.json": bytes(MAX_TEXT_BYTES + 1)}),
    "zip: twenty bombs": archive({f"{n}.json": bytes(MAX_TEXT_BYTES) for n in range(6)}),
    "zip: a hundred thousand members": archive({f"{n}.txt": b"" for n in range(50_000)}),
    "zip: a hundred slow pictures": archive(
        {f"{n}.png": PNG_SIGNATURE + chunk(b"junk", b"") * 20_000 for n in range(100)}
    ),
    "zip: bzip2": archive({"a.json": bytes(10**7)}, zipfile.ZIP_BZIP2),
    "zip: a member without a name": nameless_archive(),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_or_holds_nothing(data):
    result = found(data)
    if isinstance(result, Embedded):
        assert not result.workflow
        assert sum(len(member.embedded.workflow or "") for member in result.members) <= 64 * 2**20


def test_one_bad_member_spoils_no_other():
    members = {"a.png": png(HUGE_ZTXT), "b.zip": b"x", "c.json": WORKFLOW}
    result = found(archive(members))
    assert isinstance(result, Embedded)
    assert [bool(member.embedded) for member in result.members] == [False, True]
    assert "64 MiB" in result.members[0].reason


def test_a_damaged_member_is_passed_over():
    data = bytearray(archive({"a.json": WORKFLOW}))
    data[40] ^= 0xFF
    result = found(bytes(data))
    assert isinstance(result, Embedded)
    assert "damaged" in result.members[0].reason


class Endless(io.RawIOBase):
    """A file of 20 GB with frames in front and metadata behind, that counts what is read."""

    def __init__(self, front, frames, behind):
        self.front, self.frames, self.behind = front, frames, behind
        self.at = self.bytes_read = 0

    def seek(self, offset, whence=io.SEEK_SET):
        size = len(self.front) + self.frames + len(self.behind)
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: size}[whence]
        return self.at

    def read(self, size=-1):
        assert 0 <= size < 10**6
        self.bytes_read += size
        start, behind = self.at, len(self.front) + self.frames
        self.at += size
        if start >= behind:
            return self.behind[start - behind :][:size]
        return self.front[start:][:size].ljust(size, b"\0")


def test_of_twenty_gigabytes_of_video_only_the_metadata_are_read():
    frames = 20 * 10**9
    front = box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"mdat", frames + 16)
    file = Endless(front, frames, box(b"moov", box(b"udta", keyed({"workflow": WORKFLOW}))))
    result = embedded(file)  # type: ignore[arg-type]
    assert result is not None
    assert result.workflow == WORKFLOW
    assert file.bytes_read < 10_000


def mutated(data, seed):
    """The file with some bytes, numbers and pieces changed."""
    dice = random.Random(seed)
    out = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(out)) if out else 0
        match dice.randrange(4):
            case 0:
                out[at : at + 1] = bytes((dice.choice((0, 1, 127, 128, 255)),))
            case 1:
                extreme = dice.choice((0, 1, 2**31, 2**32 - 1))
                out[at : at + 4] = struct.pack(dice.choice((">I", "<I")), extreme)
            case 2:
                del out[at : at + dice.randrange(60)]
            case _:
                out[at:at] = out[at : at + dice.randrange(60)]
    return bytes(out)


SAMPLES = [
    *FILES.values(),
    glb({"asset": {"extras": {"prompt": PROMPT}}}),
    svg(f"<![CDATA[{WORKFLOW}]]>"),
    archive({"a.json": WORKFLOW, "b.png": png(GOOD, IDAT, IEND)}),
    webp(riff_chunk(b"EXIF", exif({}, comment=b"UNICODE\0" + WORKFLOW.encode("utf-16-le")))),
    flac({"comment": WORKFLOW}),
    mp3(txxx("workflow", WORKFLOW), flags=0x80),
    ogg_page([b"OpusTags" + comments({"prompt": PROMPT})]),
]


@settings(max_examples=600, deadline=None)
@given(sample=st.sampled_from(SAMPLES), seed=st.integers(0, 2**32))
@example(sample=SAMPLES[0], seed=0)
def test_a_damaged_file_never_breaks_the_reader(sample, seed):
    result = found(mutated(sample, seed))
    assert result is None or isinstance(result, Embedded | str)


@settings(max_examples=200, deadline=None)
@given(sample=st.sampled_from(SAMPLES), data=st.data())
def test_a_file_cut_off_anywhere_never_breaks_the_reader(sample, data):
    found(sample[: data.draw(st.integers(0, len(sample)))])


@pytest.mark.skipif(sys.platform == "win32", reason="no address space limits on Windows")
def test_the_largest_files_need_less_than_one_gibibyte(tmp_path):
    """All bombs in one process that may have 1 GiB of address space."""
    names = ["zip: a bomb", "zip: twenty bombs", "ogg: one packet without end"]
    bombs = [*(HOSTILE[name] for name in names), png(HUGE_ZTXT), png(HUGE_ITXT)]
    bombs.append(png(chunk(b"tEXt", b"workflow\0" + b"{" * (MAX_TEXT_BYTES - 9))))
    paths = [tmp_path / f"{number}.bin" for number in range(len(bombs))]
    for path, data in zip(paths, bombs, strict=True):
        path.write_bytes(data)
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "from pathlib import Path\n"
        "from comfylock.errors import WorkflowInvalidError\n"
        "from comfylock.workflows.file import read_workflow\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        print(type(read_workflow(Path(name))).__name__)\n"
        "    except WorkflowInvalidError as error:\n"
        "        print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert set(done.stdout.split()) <= {"NotAWorkflow", "WorkflowInvalidError"}
    assert len(done.stdout.split()) == len(paths)
