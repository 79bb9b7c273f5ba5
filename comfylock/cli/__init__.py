"""The command line: what is typed to one operation, its result to a page and an exit code."""
