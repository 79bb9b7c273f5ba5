"""A Civitai on this machine that tells the truth: the hub and its storage, on two loopback ports.

The shapes, gates and oddities follow the site's own source (civitai/civitai, August 2026) and
recorded answers. Bytes are made up; names, hashes and sizes are computed from them, never written
by hand, so that a client which passes here has met every rule that it will meet there.
"""
