"""Running a service over lists of records: no broker, no store, no worker."""
