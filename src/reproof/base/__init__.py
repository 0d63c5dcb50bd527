"""The few things that everything needs: Git, digests, atomic files, programs."""
