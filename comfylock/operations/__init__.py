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
    diff     comfy.lock x another one, of a file or of git -> what a reviewer should look at
    report   comfy.lock x models folders -> an overview of both
    export   comfy.lock -> the same models in the words of another tool
    fix_paths  workflows -> the same files with this system's separator in model names
    init     a folder -> comfylock.toml, .gitattributes and the next command
    doctor   settings, folders, disks, keys, workflows -> findings, each with its fix
    auth     login, logout, status: a person's key -> the hub's word on it -> keyring or file

What several of them share: `freshness` compares comfy.lock with the workflows, `selection` says
which part of it is meant, `subject` which reference a person means, `remarks` what is to be said
of references besides, and `output` where a text may be written. Every recipe returns a value;
nothing here prints. `install` never writes comfy.lock and needs neither workflows nor the API.
"""
