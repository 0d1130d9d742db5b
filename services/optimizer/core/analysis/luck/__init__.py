"""How likely the best trial is luck."""
