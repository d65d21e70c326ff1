"""What happened: runs, models, deployments, alerts, decisions, and how they descend.

`database` opens a ledger, `writer` writes to it, `runs`, `models` and `lineage` read from it,
`windows`, `alerts` and `decisions` keep what a monitor saw and what was decided on it,
`recorder` is the part of the Python API that a training script calls. Times are Unix
milliseconds UTC, sizes are bytes, contents are named by their oid with its algorithm
(`md5:…`, `sha256:…`).
"""
