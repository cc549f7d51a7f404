"""Search spaces: one named space per file, what they are made of, and what comes out."""
