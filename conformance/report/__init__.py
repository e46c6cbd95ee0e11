"""What a user reads: results.json, JUnit, HTML, the terminal."""
