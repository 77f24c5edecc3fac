"""What the steps in `pipeline` are made of, in the order of a night: planning, fitting, evaluation."""
