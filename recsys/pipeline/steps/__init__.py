"""The steps of the DAGs: one function per task, called by DAGs, command line and tests alike."""
