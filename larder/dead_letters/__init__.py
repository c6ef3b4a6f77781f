"""The dead letters of a service as an operator has them: read, shown, replayed, discarded.

`letters` and `pages` are pure, `reading` reads the topic, `settling` writes into it. A letter that was replayed or
discarded is settled: a record without a value, under the letter's own key and in its partition, says so. That is a
tombstone to whoever reads by key, and it hides the letter whether the topic is compacted or not.
"""
