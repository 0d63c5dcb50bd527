"""HDF5 files, as Keras writes weights into them, read without the HDF5 library."""
