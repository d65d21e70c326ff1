"""What happened: runs, models, deployments, alerts, decisions, and how they descend.

`database` opens a ledger, `writer` writes to it, `runs`, `models` and `lineage` read from it,
`windows`, `alerts` and `decisions` keep what a monitor saw and what was decided on it,
`recorder` is the part of the Python API that a training script calls. What it says goes from
the run (`active`, begun and ended by `block`) as `operations` through a `channel` and its `outbox`
to one of the `sinks`: a ledger or a `hub`. What cannot be written waits in the `spool`, and
`replay` sends it.

Times are Unix milliseconds UTC, sizes are bytes, contents are named by their oid with its
algorithm (`md5:…`, `sha256:…`).
"""
