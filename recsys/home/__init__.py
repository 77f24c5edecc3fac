"""The home folder as a whole: moving it, what lies in it, and what of it is not needed any more."""
