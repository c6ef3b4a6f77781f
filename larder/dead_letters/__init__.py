"""The dead letters of a service, for operators: list, show, replay, discard.

`letters` and `pages` are pure, `reading` reads the topic, `settling` writes to it. A replayed or discarded letter is
settled: a record without a value says so, with the letter's key and in its partition. To readers by key this record is
a tombstone. It hides the letter whether the topic is compacted or not.
"""
