"""Retraining: what triggers it, in which work tree, on which rows, and what becomes of it."""
