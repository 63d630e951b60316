"""The API of ImageHQ."""
