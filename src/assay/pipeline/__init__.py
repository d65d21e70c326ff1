"""The graph of stages: what changed, what runs, what is recorded, and doing it again."""
