"""What the daily DAG measures."""
