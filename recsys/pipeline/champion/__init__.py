"""The champion: aliases, lineage, promotion, rollback, and whether they agree with the audit."""
