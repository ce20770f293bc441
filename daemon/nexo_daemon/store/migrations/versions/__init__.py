"""One module for each schema revision; a released one is never changed."""
