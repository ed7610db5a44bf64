"""Reports of a study: tables (every number) -> words (how it is said) -> plots (draw only) -> page and terminal."""
