"""What an erasure means for frozen sets, and for what was made of them."""
