"""PostgreSQL: servers that run here or elsewhere, and the programs that ask them."""
