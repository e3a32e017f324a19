"""Deep autoencoders for recommendation."""
