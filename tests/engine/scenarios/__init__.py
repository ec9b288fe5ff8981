"""Our own scenarios, in the format of the conformance suite."""
