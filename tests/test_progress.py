"""Bars on a terminal, lines elsewhere."""

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock.events import Advanced, Event, Finished, Noted, Planned, Started, Stepped, Warned
from comfylock.meters import Meter, meter_line, shortened, size_text, span_text
from comfylock.progress import BarReporter, LogReporter, make_reporter
from tests.world import INK, PAPER, World, pin_of

LARGE = 100_000_000


# ------------------------------------------------------------------------ counts and lines


def test_a_rate_is_of_the_last_seconds() -> None:
    meter = Meter(1000)
    assert (meter.rate(0.0), meter.left_s(0.0)) == (None, None)
    for second in range(20):
        meter.add(10 if second < 10 else 40, float(second))
    rate = meter.rate(20.0)
    assert rate is not None
    assert rate == pytest.approx(40, rel=0.15)
    assert meter.left_s(20.0) == pytest.approx((1000 - meter.done) / rate)


def test_bytes_of_an_earlier_run_are_done_and_no_part_of_the_rate() -> None:
    meter = Meter(1000, 900)
    meter.add(10, 0.0)
    meter.add(10, 2.0)
    assert (meter.done, meter.rate(2.0)) == (920, 10.0)


def test_taking_back_more_than_was_counted_makes_the_total_larger() -> None:
    """A resumed download that starts over fetches what the plan thought was there."""
    meter = Meter(100)
    meter.add(30, 0.0)
    meter.add(-50, 1.0)
    assert (meter.done, meter.total) == (0, 120)


def test_a_total_that_was_too_small_grows() -> None:
    meter = Meter(10)
    meter.add(25, 0.0)
    assert (meter.done, meter.total, meter.share) == (25, 25, 1.0)


@given(
    name=st.text(alphabet="abc/_.", max_size=120),
    total=st.none() | st.integers(0, 10**13),
    done=st.integers(0, 10**13),
    width=st.integers(1, 200),
)
def test_a_line_is_never_wider_than_its_terminal(
    name: str, total: int | None, done: int, width: int
) -> None:
    meter = Meter(total, done)
    meter.add(1, 0.0)
    meter.add(1, 5.0)
    assert len(str(meter_line(name, meter, 6.0, width))) <= width


@pytest.mark.parametrize(
    ("width", "there", "missing"),
    [
        (100, ["━", "50%", "0:05", "50 MB/100 MB", "10 MB/s"], []),
        (60, ["50%", "0:05", "50 MB/100 MB"], ["━"]),
        (40, ["50%", "0:05"], ["MB"]),
        (30, ["50%"], ["0:05"]),
    ],
)
def test_a_narrow_line_says_the_most_telling_things(
    width: int, there: Sequence[str], missing: Sequence[str]
) -> None:
    meter = Meter(100_000_000)
    for second in range(6):
        meter.add(10_000_000 if second else 0, float(second))
    line = str(meter_line("loras/style/ink.safetensors", meter, 5.0, width))
    assert all(text in line for text in there), line
    assert not any(text in line for text in missing), line
    assert "ink" in line


def test_names_are_shortened_in_the_middle_and_keep_their_end() -> None:
    name = "loras/a/very/long/way/to/the/file_v2_fp16.safetensors"
    assert shortened(name, 80) == name
    assert shortened(name, 41) == name.removesuffix(".safetensors")
    assert shortened(name, 25) == "loras/a/…the/file_v2_fp16"
    assert shortened(name, 5) == "_fp16"


def test_sizes_and_spans_for_people() -> None:
    assert [size_text(count) for count in (0, 999, 1000, 6_460_000_000, 2e13)] == [
        "0 B", "999 B", "1 kB", "6.46 GB", "20 TB",
    ]  # fmt: skip
    assert [size_text(count) for count in (999_499, 999_500, 999_999_999, -999_999_999)] == [
        "999 kB", "1 MB", "1 GB", "-1 GB",
    ]  # fmt: skip
    assert [span_text(seconds) for seconds in (0, 59.6, 3599, 3661)] == [
        "0:00", "1:00", "59:59", "1:01:01",
    ]  # fmt: skip


# ------------------------------------------------------------------------ without a terminal


def told(*events: Event, quiet: bool = False) -> str:
    stream = io.StringIO()
    reporter = LogReporter(stream=stream, quiet=quiet)
    for event in events:
        reporter.on(event)
    reporter.close()
    return stream.getvalue()


DOWNLOAD = (
    Planned(fetches=1, total_bytes=LARGE),
    Started(ref="loras/a", act="download", total_bytes=LARGE, done_bytes=1000),
    Advanced(ref="loras/a", count=LARGE),
    Finished(ref="loras/a", succeeded=True),
)


def test_a_log_has_a_line_at_the_start_and_one_at_the_end() -> None:
    text = told(*DOWNLOAD)
    assert text.splitlines()[0] == "Downloading loras/a (100 MB), 1 kB already here"
    assert text.splitlines()[1].startswith("Downloaded loras/a in")
    assert len(text.splitlines()) == 2


def test_a_quiet_log_has_warnings_only() -> None:
    assert told(*DOWNLOAD, Noted(message="x"), quiet=True) == ""
    assert told(Warned(message="a\x1bb"), quiet=True) == "warning: a\\x1bb\n"


def test_links_removals_and_small_files_that_are_read_are_no_news() -> None:
    for act, size in (("link", LARGE), ("remove", LARGE), ("hash", 1000)):
        assert (
            told(Started(ref="a", act=act, total_bytes=size), Finished(ref="a", succeeded=True))
            == ""
        )


def test_off_a_terminal_there_are_no_bars() -> None:
    assert isinstance(
        make_reporter(quiet=False, verbose=False, bars=True, colour=None), LogReporter
    )


# ------------------------------------------------------------------------ on a terminal


class Screen:
    """A terminal of a given width with a command in it."""

    def __init__(
        self,
        world: World,
        *arguments: str,
        columns: int = 100,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
        environment |= variables or {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "comfylock", *arguments],
            env=world.environment | environment,
            cwd=world.project,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""

    def read(self, *, until: str = "") -> str:
        """Read until a pattern is shown, or to the end of the command."""
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s and not (until and re.search(until, self.text)):
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # the other end is closed: so Linux says that all was read
                break
            if not piece:
                break
            self.text += piece.decode("utf-8", "replace")
        return self.text

    def end(self) -> int:
        self.read()
        os.close(self._ours)
        return self.process.wait(timeout=20)


def drawn(text: str) -> list[str]:
    """Return the lines that were written, without what moves the cursor or colours."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]


@pytest.mark.parametrize("columns", [100, 60])
def test_bars_show_each_model_and_all_of_them(world: World, columns: int) -> None:
    world.hub.configure(throttle_per_connection=400_000)
    world.lock(pin_of(INK), pin_of(PAPER))
    screen = Screen(world, "install", columns=columns)
    assert screen.end() == 0
    lines = drawn(screen.text)
    bars = [line for line in lines if "%" in line]
    assert any("loras/ink" in line and "300 kB" in line for line in bars), lines
    assert any("1 of 2 verified" in line and "350 kB" in line for line in bars), lines
    assert any("━" in line for line in bars) is (columns == 100)
    room_for_two_interrupts = len("^C^C")  # as the terminal writes them behind the bars
    assert all(len(line) <= columns - room_for_two_interrupts for line in bars)


def test_what_stays_on_a_terminal_is_one_line_a_model_and_the_sum(world: World) -> None:
    world.lock(pin_of(INK), pin_of(PAPER))
    screen = Screen(world, "install")
    assert screen.end() == 0
    *rows, end = [line for line in drawn(screen.text) if "%" not in line]
    assert rows == [
        "+ loras/ink.safetensors  300 kB  downloaded and verified",
        "+ loras/paper.safetensors  50 kB  downloaded and verified",
    ]
    assert re.fullmatch(r"Installed 2 models in .*s: 2 downloaded \(350 kB\); 2 of 2 in place", end)


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["install"], {"NO_COLOR": "1"}),
        (["install", "--color", "never"], {}),
        (["install"], {"TERM": "dumb"}),
    ],
)
def test_who_wants_no_escape_codes_gets_plain_lines(
    world: World, arguments: list[str], variables: dict[str, str]
) -> None:
    world.lock(pin_of(INK))
    screen = Screen(world, *arguments, variables=variables)
    assert screen.end() == 0
    if "TERM" not in variables:
        assert "\x1b" not in screen.text
    assert "\r" not in screen.text.replace("\r\n", "\n")
    assert "Downloading loras/ink.safetensors (300 kB)" in screen.text


def test_without_progress_there_are_lines_and_no_bars(world: World) -> None:
    world.lock(pin_of(INK))
    screen = Screen(world, "install", "--no-progress")
    assert screen.end() == 0
    assert "%" not in screen.text
    assert "Downloaded loras/ink.safetensors in" in screen.text


def test_an_interrupt_takes_the_bars_away_and_says_what_is_kept_and_what_to_do(
    world: World,
) -> None:
    world.hub.configure(throttle_per_connection=250_000)
    world.lock(pin_of(INK), pin_of(PAPER))
    screen = Screen(world, "install", "--jobs", "1")
    screen.read(until=r"[4-7][0-9]%")
    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 130
    said, hint = drawn(screen.text)[-2:]
    kept = re.fullmatch(
        r"error\[interrupted\]: stopped with 2 models left to do; (\d+) kB of them kept", said
    )
    assert kept, said
    assert hint == "hint: Run it again: it goes on from where it was"
    assert 50 <= int(kept[1]) < 300
    assert "skipped" not in screen.text


def hashed_for_seconds(world: World) -> None:
    """Lay a file into a spot that takes seconds to read: it has no bytes, but a length."""
    with world.put("loras/ink.safetensors", b"").open("r+b") as file:
        file.truncate(6 << 30)
    world.lock(pin_of(INK, size=6 << 30))


def test_an_interrupt_while_files_are_read_takes_the_bars_away_too(world: World) -> None:
    hashed_for_seconds(world)
    screen = Screen(world, "install")
    screen.read(until="reading")
    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 130
    assert drawn(screen.text)[-1] == "stopped"
    assert screen.text.rindex("\x1b[?25h") > screen.text.rindex("\x1b[?25l")  # the cursor is back


@pytest.mark.parametrize("flag", ["--json", "--json-lines"])
def test_an_interrupt_at_any_time_ends_what_programs_read(world: World, flag: str) -> None:
    hashed_for_seconds(world)
    process = world.start("install", flag)
    end = time.monotonic() + 20
    while not has_open(process.pid, "ink.safetensors"):
        assert time.monotonic() < end
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    last = json.loads(out if flag == "--json" else out.splitlines()[-1])
    assert (last["ok"], last.get("exit_code", 130)) == (False, 130)
    assert '"interrupted"' in out


def has_open(process: int, name: str) -> bool:
    """Say whether a process has a file open; Linux tells."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not tell what a process has open")
    with suppress(OSError):
        links = Path(f"/proc/{process}/fd").iterdir()
        return any(name in str(link.readlink()) for link in links)
    return False


class Terminal(io.StringIO):
    """A stream that says it is one."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown_by(*events: Event, verbose: bool = False) -> str:
    stream = Terminal()
    reporter = BarReporter(stream, verbose=verbose)
    for event in events:
        reporter.on(event)
    reporter.close()
    return stream.getvalue()


def test_foreign_names_cannot_move_the_cursor() -> None:
    text = shown_by(
        Started(ref="loras/evil\x1b[2J[bold]", act="download", total_bytes=LARGE),
        Warned(message="a\x1b[2Jb"),
        Finished(ref="loras/evil\x1b[2J[bold]", succeeded=True),
    )
    assert "\x1b[2J" not in text
    assert "evil\\x1b[2J[bold]" in text
    assert "warning: a\\x1b[2Jb" in text


def test_what_is_not_worth_a_bar_starts_none() -> None:
    assert shown_by(Started(ref="a", act="link"), Finished(ref="a", succeeded=True)) == ""
    assert shown_by(Noted(message="x")) == ""
    assert "x" in shown_by(Noted(message="x"), verbose=True)


def test_steps_and_large_files_that_are_read_are_shown() -> None:
    text = shown_by(
        Stepped(what="Looked up", done=3, total=17),
        Started(ref="/models/a", act="hash", total_bytes=LARGE),
        Finished(ref="/models/a", succeeded=True),
    )
    assert "Looked up 3 of 17" in text


def test_more_models_than_lines_are_counted() -> None:
    starts = [
        Started(ref=f"loras/{number:02}", act="download", total_bytes=LARGE) for number in range(60)
    ]
    text = shown_by(Planned(fetches=60, total_bytes=60 * LARGE), *starts)
    assert re.search(r"… and \d+ more", text)
    assert "0 of 60 verified" in text
