"""What a command does when it joins rooms that do not know each other. One function an action."""
