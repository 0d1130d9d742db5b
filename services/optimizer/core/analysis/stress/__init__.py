"""How the best trial stands up to worse conditions."""
