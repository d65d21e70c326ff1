"""What happened: runs, models and deployments, and how they descend from each other.

`database` opens a ledger, `writer` writes to it, `runs`, `models` and `lineage` read from it,
`recorder` is the part of the Python API that a training script calls. Times are Unix
milliseconds UTC, sizes are bytes, contents are named by their oid with its algorithm
(`md5:…`, `sha256:…`).
"""
