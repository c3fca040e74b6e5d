"""The page that `hbm.report` writes, for people who read no code."""
