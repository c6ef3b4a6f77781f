"""The dead letters of a service, for operators: list, show, replay, discard.

`letters` and `pages` are pure, `reading` reads the topic, `settling` writes to it. A replayed or discarded letter is
settled: a record without a value, with the letter's key and in its partition, says so. To readers by key it is a
tombstone. It hides the letter whether the topic is compacted or not.
"""
