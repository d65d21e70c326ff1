"""Records of runs that travel: read from a ledger, packed, checked, and written into another."""
