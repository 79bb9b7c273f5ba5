"""How comfylock works, on one page: each command is a recipe over a `Session`, a file for each.

    scan     inputs -> references
    lock     inputs -> references -> requirements -> (old lock | resolve) -> comfy.lock
    install  comfy.lock x models folders -> plan -> apply -> outcomes
    status   comfy.lock x models folders -> states
    search   a person's words -> files on Civitai
    choose   pin, unpin, ignore: the user's word -> comfylock.toml -> one reference of comfy.lock
    explain  why, tree: a reference -> who needs it, its pin, and what each rung says
    upgrade  outdated, update, lock -U: pins -> versions of their models -> where each may move
    check    comfy.lock x workflows x models folders -> findings
    fix_paths  workflows -> the same files with this system's separator in model names

What several of them share: `freshness` compares comfy.lock with the workflows, `selection` says
which part of it is meant, `subject` which reference a person means. Every recipe returns a value;
nothing here prints. `install` never writes comfy.lock and needs neither workflows nor the API.
"""
