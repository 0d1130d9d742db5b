"""How points are proposed."""
