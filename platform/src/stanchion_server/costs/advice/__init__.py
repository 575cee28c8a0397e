"""Where recorded calls cost more than they had to. Everything here is pure."""
