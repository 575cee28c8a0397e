"""Personal identifiers: their shapes, their check digits, and the words that stand beside them."""
