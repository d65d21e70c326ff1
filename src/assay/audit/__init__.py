"""The twelve factors of reproducible production machine learning: which hold, by what evidence.

`factors` says what a factor is, `subject` whose factors are looked at; `code`, `data`, `model`
and `served` look the evidence up, `audit` puts it together and `report` prints it.
"""
