"""From a batch of records to the changes of a store."""
