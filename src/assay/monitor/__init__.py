"""What watches an endpoint: windows of its traffic, compared with what its bundle was trained on.

Traffic is cut into windows of event time; each is compared column by column with the reference
days in the bundle, and its answers with the truth that arrives later. What is found is stored once
per window, and what a person has to know is raised as an alert in the ledger. What is done about
an alert is the business of `assay.loop`.
"""
