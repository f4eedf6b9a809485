"""A GitHub stand-in over local git repositories, and the demo that runs the whole way."""
