"""From a backlog to a challenger with evidence."""
