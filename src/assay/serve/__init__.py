"""Answering requests over HTTP with the version that an endpoint is to answer with.

`versions` follows the deployments and switches, `app` routes requests, `open_inference` and
`predict` are the two forms that these may have, `protocol` and `limits` bound what a client may
send, `access` says who may, `traffic` writes the log, `server` runs it all.
"""
