"""Real libraries under real edits: what is served must equal a cold start."""
