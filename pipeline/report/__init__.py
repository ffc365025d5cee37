"""What a run found, for people and for programs: terminal, HTML, CI summary, JSON, and the generated documents."""
