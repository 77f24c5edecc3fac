"""Is the gate fooled by noise?"""
