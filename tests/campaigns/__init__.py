"""Faults by the hundred, by real means: what the tests do a few times, as often as one likes.

    python -m tests.campaigns kills 500

Each campaign returns its figures; the tests run it small and check them, by hand it runs as long
as it takes and prints them. None asserts while it runs, so that one bad turn hides no other.
"""
