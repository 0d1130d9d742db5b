"""How one parameter set stands up to worse conditions, and markets without the order of bars."""
