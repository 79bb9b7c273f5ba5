"""The entry point: as small as can be, so that an interrupt during start-up prints no traceback."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        import signal
        import sys

        from comfylock.interrupts import interrupt

        signal.signal(signal.SIGTERM, interrupt)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored
            signal.signal(signal.SIGINT, interrupt)
        _open_closed_streams()
        from comfylock.cli.main import run
        from comfylock.cli.streams import guard_streams

        guard_streams()
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        _leave(130, "stopped")
    except Exception:
        # An interrupt while a module in C loads its own modules comes out as an ImportError.
        from comfylock.interrupts import was_interrupted

        if not was_interrupted():
            raise
        _leave(130, "stopped")
    else:
        _leave(code, "")


def _open_closed_streams() -> None:
    """Give what has no stdin, stdout or stderr the null device, before a model takes its number."""
    import os
    import sys
    from pathlib import Path

    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - it stays open
            setattr(sys, name, stream)


def _leave(code: int, message: str) -> None:
    """End at once: threads that wait for a silent server are not waited for.

    Their downloads stay as parts, which the next run goes on with.
    """
    import os
    import signal
    import sys

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if message:
            sys.stderr.write(f"{message}\n")
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:  # noqa: BLE001 - whatever a stream raises, guarded or not
        code = code or 1  # the reader of our output has gone away
    os._exit(code)


if __name__ == "__main__":
    main()
