"""Bytes by content: caches, trees, links to the workspace, the index of what was hashed, remotes.

This room knows neither git nor any file of DVC's but the two that hold data: the object and the
manifest of a directory. What to skip, where a cache lies and what a remote is called come in as
arguments.
"""
