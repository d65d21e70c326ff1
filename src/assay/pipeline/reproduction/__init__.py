"""What it takes to do a recorded run again: its record, work tree, environment, parts, causes."""
