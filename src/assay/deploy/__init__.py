"""Which version an endpoint answers with, and that its servers really do.

A deployment is a row of the ledger; a running server reads it, loads the bundle, proves it and
switches. `endpoints` says what an endpoint is to answer with, `servers` who answers and with
what, `deploy` moves an endpoint to a version and back.
"""
