"""Data sets: reading tables, profiles, schema, validation, drift and splits.

A *table* is a CSV or Parquet file, or a folder of them. `read` opens one on DuckDB, `infer` says
what type each column has, `profile` measures it. Nothing here knows the ledger or a pipeline.
"""
