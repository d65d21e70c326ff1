"""How good a model is, whether it is better than another one, and whether it may replace it.

    rows          targets and predictions of several models, aligned by key
    metrics       a number for a model: names, direction, edge cases
    intervals     how sure that number is (blocks.py for rows in time order, bootstrap.py)
    compare       base and candidate on the same rows
    slices        named subsets of the rows;  baselines: naive predictors
    evaluation    all of it for one candidate
    gate          pass, fail or inconclusive
    report, page  the evaluation as Markdown and as one HTML file

Arrays go in, frozen structs come out; the only thing that is read is an open `assay.data.read`
table. The formulas' sources stand in the docstrings.
"""
