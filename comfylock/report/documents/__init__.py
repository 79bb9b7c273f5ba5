"""The shapes of the documents that `--json` prints, as types: what docs/schemas is made from."""
