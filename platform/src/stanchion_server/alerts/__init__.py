"""Rules over readings, incidents, and the notifications that tell of them."""
