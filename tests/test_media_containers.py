"""Every container that ComfyUI and its friends write workflows to, and its variants."""

import io
import json
import struct

import pytest

from comfylock.workflows.media.embedded import embedded
from comfylock.workflows.media.kinds import MEDIA_SUFFIXES
from tests.media_writers import (
    BOTH,
    IDAT,
    PARAMETERS,
    PROMPT,
    WORKFLOW,
    archive,
    avif,
    big_box,
    box,
    chunk,
    comf_chunk,
    comments,
    data_box,
    element,
    encrypted,
    exif,
    flac,
    glb,
    itxt_chunk,
    jpeg,
    keyed,
    listed,
    mp3,
    mp4,
    ogg_page,
    ogg_pages,
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

EXIF = exif({0x010F: f"workflow:{WORKFLOW}", 0x0110: f"prompt:{PROMPT}"})
BOTH_TEXT = json.dumps(BOTH)


def found(data):
    result = embedded(io.BytesIO(data))
    assert result is not None
    return result


def graphs(data):
    result = found(data)
    return result.workflow, result.prompt


FILES = {
    "png": png(text_chunk("prompt", PROMPT), text_chunk("workflow", WORKFLOW)),
    "png-reversed": png(text_chunk("workflow", WORKFLOW), text_chunk("prompt", PROMPT)),
    "png-behind-the-pixels": png(
        IDAT, after=[text_chunk("prompt", PROMPT), text_chunk("workflow", WORKFLOW)]
    ),
    "png-around-the-pixels": png(
        text_chunk("prompt", PROMPT), after=[text_chunk("workflow", WORKFLOW)]
    ),
    "png-compressed": png(ztxt_chunk("workflow", WORKFLOW), itxt_chunk("prompt", PROMPT, True)),
    "png-international": png(itxt_chunk("workflow", WORKFLOW), itxt_chunk("prompt", PROMPT)),
    "png-capitals": png(text_chunk("Workflow", WORKFLOW), text_chunk("PROMPT", PROMPT)),
    "apng": png(after=[comf_chunk("prompt", PROMPT), comf_chunk("workflow", WORKFLOW)]),
    "webp": webp(riff_chunk(b"EXIF", EXIF)),
    "webp-with-exif-mark": webp(riff_chunk(b"EXIF", b"Exif\0\0" + EXIF)),
    "webp-big-endian": webp(
        riff_chunk(b"EXIF", exif({1: f"Workflow:{WORKFLOW}", 2: f"prompt: {PROMPT}"}, order=">"))
    ),
    "webp-copyright": webp(
        riff_chunk(b"EXIF", exif({0x8298: f"workflow:{WORKFLOW}", 0x0110: f"PROMPT:{PROMPT}"}))
    ),
    "jpeg": jpeg((0xE0, b"JFIF\0"), (0xE1, b"http://xmp"), (0xE1, b"Exif\0\0" + EXIF)),
    "avif": avif(EXIF),
    "mp4": mp4(keyed(BOTH)),
    "mp4-large-frames": mp4(keyed(BOTH), front=big_box(b"mdat", bytes(100))),
    "mp4-namespaced-keys": mp4(keyed({"com.x.prompt": PROMPT, "com.x.Workflow": WORKFLOW})),
    "mov": mp4(keyed(BOTH, version=b""), brand=b"qt  "),
    "mov-without-brand": mp4(keyed(BOTH))[16:],
    "mp4-metadata-on-top": box(b"ftyp", b"isom") + keyed(BOTH),
    "mp4-free-form": mp4(
        listed(
            *(
                box(
                    b"----",
                    box(b"mean", bytes(4) + b"x") + box(b"name", bytes(4) + name.encode())
                    + data_box(text),
                )
                for name, text in BOTH.items()
            )
        )
    ),
    "webm": webm([("PROMPT", PROMPT), ("WORKFLOW", WORKFLOW)]),
    "mkv-lower-case": webm([("workflow", WORKFLOW), ("prompt", PROMPT)]),
    "webm-behind-clusters": webm(
        BOTH.items(), before=element(0x1F43B675, element(0xA3, bytes(50)))
    ),
    "webm-live": webm(
        BOTH.items(), before=element(0x1F43B675, element(0xA3, bytes(9)), size=-1), size=-1
    ),
    "flac": flac(BOTH),
    "flac-behind-a-picture": flac(BOTH, before=[(6, bytes(5000))]),
    "flac-behind-id3": mp3()[:30] + flac(BOTH),
    "opus": opus(BOTH),
    "opus-over-pages": opus({"picture": "x" * 200_000, **BOTH}),
    "vorbis": ogg_page([b"\x01vorbis" + bytes(23)], flags=2)
    + ogg_pages(b"\x03vorbis" + comments(BOTH) + b"\x01"),
    "flac-in-ogg": ogg_page([b"\x7fFLAC" + bytes(46)], flags=2)
    + ogg_pages(b"\x84" + bytes(3) + comments(BOTH)),
    "ogg-of-two-streams": ogg_page([b"\x80theora"], serial=1, flags=2)
    + ogg_page([b"\x01vorbis"], serial=2, flags=2)
    + ogg_pages(b"\x81theora" + comments({}), serial=1)
    + ogg_pages(b"\x03vorbis" + comments(BOTH), serial=2),
    "mp3": mp3(txxx("prompt", PROMPT), txxx("workflow", WORKFLOW)),
    "mp3-utf16": mp3(txxx("prompt", PROMPT, code=1), txxx("workflow", WORKFLOW, code=2)),
    "mp3-id3-2.3": mp3(
        txxx("prompt", PROMPT, version=3, code=1), txxx("workflow", WORKFLOW, version=3, code=0),
        version=3,
    ),
    "mp3-id3-2.2": mp3(
        txxx("prompt", PROMPT, version=2, code=0), txxx("workflow", WORKFLOW, version=2, code=1),
        version=2,
    ),
    "mp3-named-comments": mp3(
        txxx("prompt", PROMPT, kind=b"COMM"), txxx("workflow", WORKFLOW, kind=b"COMM")
    ),
}  # fmt: skip


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_both_graphs_are_found(data):
    workflow, prompt = graphs(data)
    assert workflow is not None
    assert prompt is not None
    assert (workflow.strip(), prompt.strip()) == (WORKFLOW, PROMPT)


WRAPPED = {
    "mp4-comment": mp4(listed(box(b"\xa9cmt", data_box(BOTH_TEXT)))),
    "mov-comment": mp4(box(b"\xa9cmt", struct.pack(">HH", 9, 0) + BOTH_TEXT.encode())),
    "webm-comment": webm([("COMMENT", BOTH_TEXT)]),
    "flac-comment": flac({"comment": BOTH_TEXT}),
    "mp3-comment": mp3(txxx("", BOTH_TEXT, kind=b"COMM")),
    "jpeg-comment": jpeg((0xFE, BOTH_TEXT.encode())),
    "user-comment": avif(exif({}, comment=b"ASCII\0\0\0" + BOTH_TEXT.encode())),
    "description": webp(riff_chunk(b"EXIF", exif({0x010E: BOTH_TEXT}))),
    "svg": svg(f"<![CDATA[{BOTH_TEXT}]]>"),
}


@pytest.mark.parametrize("data", WRAPPED.values(), ids=WRAPPED)
def test_one_text_may_hold_both_graphs(data):
    """General fields are taken if they look like graphs; they are unwrapped when parsed."""
    assert graphs(data) == (BOTH_TEXT, None)


def test_a_named_text_wins_over_a_comment():
    for texts in ({"comment": BOTH_TEXT, **BOTH}, {**BOTH, "comment": BOTH_TEXT}):
        assert graphs(flac(texts)) == (WORKFLOW, PROMPT)


def test_of_repeated_names_the_last_counts():
    """As in ComfyUI's frontend."""
    assert (
        graphs(png(text_chunk("workflow", "{}"), text_chunk("workflow", WORKFLOW)))[0] == WORKFLOW
    )


def test_a_glb_is_given_as_its_json():
    document = {"asset": {"version": "2.0", "extras": BOTH}}
    assert json.loads(found(glb(document)).workflow or "") == document


def test_a_scene_without_extras_holds_nothing():
    assert not found(glb({"asset": {"version": "2.0"}}))


@pytest.mark.parametrize(
    "data",
    [
        png(),
        webp(),
        jpeg(),
        mp4(),
        webm([]),
        flac({"title": "a song", "comment": "nice"}),
        opus({}),
        mp3(),
        b"\xff\xfb\x90\x00sound",
        b"RIFF\x04\0\0\0WAVE",
        svg("<rdf/>"),
        png(text_chunk("prompt", "a cat"), text_chunk("Comment", WORKFLOW)),
        webp(riff_chunk(b"EXIF", exif({0x010F: "Canon", 0x0110: "EOS"}))),
        jpeg((0xFE, b"made by a camera")),
    ],
)
def test_media_without_a_workflow_hold_nothing(data):
    """Prompts and comments of other programs are no workflows."""
    assert not found(data)


@pytest.mark.parametrize(
    "data", [b"", b'{"nodes": []}', b'{\n "free": 1}', b"<html><svg></svg></html>"]
)
def test_other_files_are_no_media(data):
    assert embedded(io.BytesIO(data)) is None


def test_text_is_utf8_where_it_can_be_and_else_latin_1():
    """The standard says Latin-1; ComfyUI and others write UTF-8."""
    assert graphs(png(text_chunk("workflow", '{"ä→": 1}')))[0] == '{"ä→": 1}'
    latin = chunk(b"tEXt", b"workflow\0" + '{"ä": 1}'.encode("latin-1"))
    assert graphs(png(latin))[0] == '{"ä": 1}'


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + PARAMETERS.encode("utf-16-be"),
        b"UNICODE\0" + PARAMETERS.encode("utf-16-le"),
        b"ASCII\0\0\0" + PARAMETERS.encode(),
        bytes(8) + PARAMETERS.encode(),
    ],
)
@pytest.mark.parametrize("order", "<>")
def test_settings_in_a_user_comment_are_found_however_they_are_written(comment, order):
    data = webp(riff_chunk(b"EXIF", exif({}, order=order, comment=comment)))
    assert found(data).parameters == PARAMETERS


def test_a_user_comment_of_bytes_as_pillow_writes_it_is_read():
    comment = b"ASCII\0\0\0" + BOTH_TEXT.encode()
    data = webp(riff_chunk(b"EXIF", exif({}, comment=comment, comment_type=1)))
    assert found(data).workflow == BOTH_TEXT


def test_settings_in_a_png_are_found():
    assert found(png(text_chunk("parameters", PARAMETERS))).parameters == PARAMETERS


def test_unsynchronised_tags_are_put_right():
    """0xFF 0x00 stands for 0xFF, so that no player takes it for sound."""
    frame = txxx("workflow", '{"ÿ": 1}', version=3, code=0).replace(b"\xff", b"\xff\0")
    assert graphs(mp3(frame, version=3, flags=0x80))[0] == '{"ÿ": 1}'


def test_extended_headers_are_skipped():
    frame = txxx("workflow", WORKFLOW)
    assert graphs(mp3(b"\0\0\0\x06\x01\0" + frame, flags=0x40))[0] == WORKFLOW
    old = txxx("workflow", WORKFLOW, version=3)
    extended = b"\0\0\0\x06" + bytes(6)
    assert graphs(mp3(extended + old, version=3, flags=0x40))[0] == WORKFLOW


def test_compressed_frames_are_passed_over():
    frame = bytearray(txxx("workflow", WORKFLOW))
    frame[9] |= 0x08
    assert graphs(mp3(bytes(frame), txxx("prompt", PROMPT))) == (None, PROMPT)


def test_an_archive_gives_its_members_sorted():
    members = {"b.json": WORKFLOW, "a/x.png": png(text_chunk("prompt", PROMPT)), "notes.txt": "no"}
    result = found(archive(members))
    assert [(member.name, member.reason) for member in result.members] == [
        ("a/x.png", ""),
        ("b.json", ""),
    ]
    assert [member.embedded.prompt for member in result.members] == [PROMPT, None]
    assert result.members[1].embedded.workflow == WORKFLOW


def test_encrypted_members_are_passed_over_with_the_reason():
    (member,) = found(encrypted(archive({"a.json": WORKFLOW}))).members
    assert not member.embedded
    assert member.reason == "it is encrypted"


def test_archives_in_archives_are_not_opened():
    assert not found(archive({"inner.zip": archive({"a.json": WORKFLOW})}))


def test_suffixes_are_in_lower_case_and_begin_with_a_dot():
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in MEDIA_SUFFIXES)
