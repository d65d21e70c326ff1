"""The log of predictions and the truth that arrives for them.

A server appends one record a request to a `spool`, which writes it off the hot path; `roll` turns
finished spool files into Parquet; `log` reads both as one table, each row once; `feedback` keeps
the truth and joins it. Which version answers, and what is done about it, is not known here.
"""
