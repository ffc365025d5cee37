"""The gate: verifies evidence, holds it against the policy of an environment, and says why not."""
