"""What finished trials tell."""
