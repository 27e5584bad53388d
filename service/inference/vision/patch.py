"""The size of the patches into which a vision-language model divides an image."""

PATCH = 32
"""A vision token sees so many pixels each way."""
