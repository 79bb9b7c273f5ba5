"""The disk: models folders looked at, files downloaded, linked and moved."""
