"""The Python API for scripts: from `assay.run()` to where what it is told is written.

A call of a script becomes an operation (`assay.ledger.operations`), waits in a channel, and is
written in the background to a ledger or a hub, or to a file where neither answers.
"""
