"""Search methods: one published method per file, `def method(**settings) -> Method`."""
