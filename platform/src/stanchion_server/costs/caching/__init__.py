"""What a cache of answers would have done with recorded calls."""
