"""Find runs, experiments, models and versions by a query: text → tree → conditions in SQL.

`lexer` reads words, `parser` builds the tree by what a target of `targets` allows, `conditions`
turns it into SQLAlchemy's, with values bound and never written into SQL. There are two dialects
of one grammar: MLflow's, which refuses what MLflow refuses, and Assay's, which has OR, NOT,
parentheses, BETWEEN, and every operator on every field.
"""
