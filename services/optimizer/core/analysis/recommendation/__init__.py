"""Which of a study's parameters to choose, and what that is worth."""
