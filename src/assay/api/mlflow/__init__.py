"""MLflow's REST API over the ledger, so that its own, unchanged clients work with `assay hub`."""
