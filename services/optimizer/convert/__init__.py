"""The optimizer's contract on one side, the core's plain Python on the other. No logic."""
