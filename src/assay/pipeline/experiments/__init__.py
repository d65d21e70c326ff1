"""Experiments: what was tried on top of a commit, kept as git references, as DVC keeps them.

`refs` finds and names them, `overrides` changes their parameters, `commit` makes them out of a
work tree, `worktree` runs them beside a person's own, `queue` and `worker` let them wait and run.
Who joins them with `repro` is `assay.workflows.experiments`.
"""
