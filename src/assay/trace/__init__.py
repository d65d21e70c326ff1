"""What a thing came from, and what came from it, followed by the hashes that were stored."""
