"""The hub over HTTP: MLflow's protocol, and our own where it has no word. It translates."""
