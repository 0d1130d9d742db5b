"""Parameter sets: checked, grouped into chunks that share rows, and run."""
