"""How comfylock works, on one page: each command is a recipe over a `Session`, a file for each.

    scan     inputs -> references
    lock     inputs -> references -> requirements -> (old lock | resolve) -> comfy.lock
    install  comfy.lock x models folders -> plan -> apply -> outcomes
    status   comfy.lock x models folders -> states

What several of them share: `freshness` compares comfy.lock with the workflows, `selection` says
which part of it is meant. Every recipe returns a value; nothing here prints. `install` never writes
comfy.lock and needs neither workflows nor the API.
"""
