"""Random edit histories of a generated app: what is served must equal a cold start after each edit."""
