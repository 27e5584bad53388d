"""How a vision-language model divides an image."""

PATCH = 32
"""A vision token sees so many pixels each way."""
