"""A stand-in for Hugging Face: the hub on one loopback port, its storage on another.

Facts: huggingface/huggingface_hub and huggingface/huggingface.js (2026-08) and their tests;
headers of ``/resolve/`` as shown in public reports (302 to the storage with X-Linked-Size,
X-Linked-ETag, X-Repo-Commit; small files over ``/api/resolve-cache/``).
"""
