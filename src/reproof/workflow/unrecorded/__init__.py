"""`verify` of runs that reproof did not record: what a record would have said, put together from MLflow and Git."""
